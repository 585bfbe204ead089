"""The ASGI application: routes, health, metrics, the page, and the form of error answers."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.exceptions import HTTPException

from model.errors import PinclipError, RerankError, ServerAway, StoreError
from serving.service.messages import CompleteIn, Health, PinIn, PinsIn, Problem, Readiness, RerankIn, SearchIn, TagsIn
from serving.service.reading import RequestRefused
from serving.service.routes import Routes
from serving.service.served_spaces import ServedSpaces

PAGE = Path(__file__).resolve().parents[1] / "page"
MEDIA = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' blob: data:"
STATUSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (401, 403, 404, 408, 413, 415, 422, 429, 500, 503, 504)
}


def api(served: ServedSpaces, is_ready: Callable[[], bool], overdue: Callable[[], Sequence[str]] = tuple) -> FastAPI:
    """overdue: what background tasks have to say that have not succeeded for too long; empty sentences do not count."""
    app = FastAPI(title="pinclip", version="1", docs_url=None, redoc_url=None, responses=STATUSES)
    routes = Routes(served)
    app.post("/v1/pins", openapi_extra=_body(PinsIn, PinIn))(routes.add_pins)
    app.get("/v1/pins/{pin_id:path}/related")(routes.related)
    app.get("/v1/pins/{pin_id:path}/image", response_class=Response)(routes.image)
    app.post("/v1/search", openapi_extra=_body(SearchIn))(routes.search)
    app.post("/v1/complete", openapi_extra=_body(CompleteIn))(routes.complete)
    app.post("/v1/tags", openapi_extra=_body(TagsIn))(routes.tags)
    app.post("/v1/rerank", openapi_extra=_body(RerankIn))(routes.rerank)
    for path, route in (("spaces", routes.spaces), ("columns", routes.columns), ("start", routes.start)):
        app.get(f"/v1/{path}")(route)
    _add_health(app, served, is_ready, overdue)
    _add_page(app)
    _add_errors(app)
    return app


def _add_health(
    app: FastAPI, served: ServedSpaces, is_ready: Callable[[], bool], overdue: Callable[[], Sequence[str]]
) -> None:
    @app.get("/health/live")
    async def live() -> Health:
        """The process answers."""
        return Health(live=True)

    @app.get("/health/ready", responses={status: {"model": Readiness} for status in (200, 503)})
    async def ready() -> Response:
        """Requests are taken: 200; or 503 with a reason while there is nothing to serve, a background task does not
        succeed, and once it is stopping."""
        if served.waits_for:
            return JSONResponse({"ready": False, "waits_for": served.waits_for}, 503)
        if late := " ".join(filter(None, overdue())):
            return JSONResponse({"ready": False, "waits_for": late}, 503)
        return JSONResponse({"ready": is_ready()}, 200 if is_ready() else 503)

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Prometheus' text format."""
        return Response(served.measure(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _add_page(app: FastAPI) -> None:
    app.get("/", include_in_schema=False)(_file(PAGE / "index.html"))
    for file in (one for one in PAGE.iterdir() if one.suffix in MEDIA):
        app.get(f"/{file.name}", include_in_schema=False)(_file(file))


def _file(file: Path) -> Callable[[], Awaitable[Response]]:
    content, media = file.read_bytes(), MEDIA[file.suffix]
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}

    async def answer() -> Response:
        return Response(content, media_type=media, headers=headers)

    return answer


def _add_errors(app: FastAPI) -> None:
    """Every refusal is {"error": one sentence}; what was sent is never repeated."""

    @app.exception_handler(RequestRefused)
    async def refused(request: Request, error: RequestRefused) -> Response:
        return _said(error.status, error.says)

    @app.exception_handler(PinclipError)
    async def mistaken(request: Request, error: PinclipError) -> Response:
        status = {StoreError: 503, ServerAway: 503, RerankError: 422}.get(type(error), 500)
        return _said(status, str(error), {"Retry-After": "1"} if status == 503 else None)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        return _said(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        return _said(422, f"{first['loc'][-1]}: {first['msg']}.")

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> Response:
        """Starlette raises it again once this is sent; the guard writes it into the log."""
        return _said(500, "The service has failed at this request; its log says why.")


def _said(status: int, says: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": says}, status, headers)


def _body(json: type, form: type | None = None) -> dict[str, Any]:
    """The OpenAPI description of a body that the route reads itself."""
    content = {"application/json": {"schema": _schema(json)}}
    if form is not None:
        schema = _schema(form)
        for one in schema["properties"].values():
            if "anyOf" in one:  # a form has no null
                one["anyOf"].remove({"type": "null"})
                del one["default"]
        schema["properties"]["image"] = {"type": "string", "format": "binary"}
        content["multipart/form-data"] = {"schema": schema}
    return {"requestBody": {"required": True, "content": content}}


def _schema(message: Any) -> dict[str, Any]:
    """A self-contained schema, without references to other places of the document."""
    schema: dict[str, Any] = message.model_json_schema()
    parts = schema.pop("$defs", {})

    def inlined(node: Any) -> Any:
        if isinstance(node, list):
            return [inlined(one) for one in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).rpartition("/")[2]
        return inlined(parts[name]) if name else {key: inlined(value) for key, value in node.items()}

    inline: dict[str, Any] = inlined(schema)
    return inline
