"""Where results go, from the bottom up.

- `edgevision.upstream.message`: one JSON document with an id; its schema.
- `edgevision.upstream.builder`: documents made of results, by camera and run.
- `edgevision.upstream.policy`: when a result becomes a message.
- `edgevision.upstream.upstream`: the contract of whatever takes messages.
- `edgevision.upstream.console`, `edgevision.upstream.jsonl`: standard output and a rotating file.
- `edgevision.upstream.settings`, `edgevision.upstream.registry`: what pipeline.yaml says, and the
  upstreams made of it.
- `edgevision.upstream.publisher`: results in, messages out, to every upstream in order.
"""
