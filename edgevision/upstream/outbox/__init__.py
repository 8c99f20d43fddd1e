"""The durable outbox: messages wait on disk until the hub has acknowledged them.

- `edgevision.upstream.outbox.outbox`: `Outbox`, which stores messages and hands out packets.
- `edgevision.upstream.outbox.forwarder`: `Forwarder`, which sends them, retries and deletes.
- `edgevision.upstream.outbox.batch`: when several messages share a packet.
- `edgevision.upstream.outbox.wire`: how large a packet may be.
- `edgevision.upstream.outbox.packet`: what is handed out, and the counters.
- `edgevision.upstream.outbox.store`: the SQLite file; `damage` sets a corrupt one aside, `lock`
  keeps a second process out, `age` is a clock that a wrong date does not fool.
- `edgevision.upstream.outbox.stream`: one camera's packets on their way to the hub.
"""
