"""The preview page, health checks and metrics.

- `edgevision.web.tap`: takes a camera's pictures off its worker thread while someone watches.
- `edgevision.web.server`: the HTTP server.

Nothing is imported here, so that a runner can make taps without loading aiohttp.
"""
