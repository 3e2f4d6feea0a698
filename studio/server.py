"""Serve the page: a local web server that hands out no more than the page needs."""

import errno
import os
import re
import shutil
import socket
import tempfile
import threading
import webbrowser
from pathlib import Path
from typing import Any

from ..model.animation.animator import Animator
from ..pipeline.errors import WrongUse
from ..pipeline.files import lock_if_free
from .photograph import MAX_BYTES, Photograph
from .results import ENDING, RESULTS

_ROUTES = (
    *(
        "/config",
        "/theme.css",
        "/favicon.ico",
        "/manifest.json",
        "/assets/",
        "/static/",
        "/svelte/",
    ),
    *("/gradio_api/theme.css", "/gradio_api/startup-events", "/gradio_api/heartbeat/"),
    *("/gradio_api/upload", "/gradio_api/queue/", "/gradio_api/run/predict", "/gradio_api/cancel"),
    *("/gradio_api/reset", "/gradio_api/info", "/gradio_api/app_id"),
)
"""Starts of the paths that the page asks for. Gradio has more, such as for reading any file."""
_HEADERS = [
    # Whatever comes into the page, the browser asks no other server for anything.
    (
        b"content-security-policy",
        b"default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
        b"style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; base-uri 'self'; "
        b"form-action 'self'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_FOLDER = "ganim-studio-"
_MULTIPART = 100_000  # bytes around the file in an upload
_SHUTDOWN_SECONDS = 1


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address. Raises WrongUse if it cannot be."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        bound = socket.socket(family, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
        bound.listen()  # a browser that comes before the server is ready waits
    except (OSError, UnicodeError) as error:  # UnicodeError: such a host cannot be
        reason = error.strerror if isinstance(error, OSError) else "not the name of a computer"
        number = error.errno if isinstance(error, OSError) else None
        option = "--port" if number in (errno.EADDRINUSE, errno.EACCES) else "--host"
        raise WrongUse(
            f"The studio cannot use {host_and_port(host, port)} ({reason}): choose another with "
            f"{option}."
        ) from error
    return bound


def host_and_port(host: str, port: int) -> str:
    """As they stand in the address of a page."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def temporary_folder() -> Path:
    """A new folder for uploads, until the page has read them, and results, until the browser has:
    in memory, if there is such a folder. Those that killed processes left are deleted."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else Path(tempfile.gettempdir())
    for old in parent.glob(f"{_FOLDER}*"):
        lock = lock_if_free(old)
        if lock is not None:
            shutil.rmtree(old, ignore_errors=True)
            os.close(lock)
    # Locked until this process ends, however it ends; under another name until it is locked.
    new = Path(tempfile.mkdtemp(prefix=f".{_FOLDER}{os.getpid()}-", dir=parent))
    lock_if_free(new)
    return new.rename(parent / new.name[1:])


def serve(
    listening: socket.socket,
    animator: Animator,
    initial: Photograph | None,
    run: Path | None,
    browse: bool,
) -> None:
    """Serve the page until the process is interrupted.

    Args:
        listening: as `listen` gives it.
        animator: renders the faces.
        initial: the photograph that stands on the page when it is opened.
        run: the folder of a training that is shown; None: none.
        browse: whether to open it in the browser.
    """
    folder = temporary_folder()
    os.environ |= {"GRADIO_TEMP_DIR": str(folder), "GRADIO_ANALYTICS_ENABLED": "False"}
    try:
        import uvicorn

        config = uvicorn.Config(
            _application(animator, initial, folder, run),
            log_level="warning",
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        )
        if browse:
            host, port = listening.getsockname()[:2]
            page = f"http://{host_and_port(host, port)}"
            opening = threading.Timer(1.0, webbrowser.open, [page])
            opening.daemon = True
            opening.start()
        uvicorn.Server(config).run([listening])
    finally:
        ENDING.set()
        shutil.rmtree(folder, ignore_errors=True)


def _application(
    animator: Animator, initial: Photograph | None, folder: Path, run: Path | None
) -> Any:
    """The ASGI application."""
    import gradio as gr
    from fastapi import FastAPI

    from .page import CSS, build_page

    system = ["system-ui", "sans-serif"]
    application = gr.mount_gradio_app(
        FastAPI(openapi_url=None),
        build_page(animator, initial, folder, run),
        path="/",
        max_file_size=MAX_BYTES,
        show_error=False,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        css=CSS,
        theme=gr.themes.Default(font=system, font_mono=["ui-monospace", "monospace"]),
    )
    return _Guard(application, folder)


class _Guard:
    """Passes on what the page needs: its own routes, results, recordings, and bodies of a limited
    size."""

    def __init__(self, application: Any, folder: Path) -> None:
        self._application = application
        files = f"/gradio_api/file={folder}/"
        self._routes = (*_ROUTES, files + RESULTS + "/")
        # A clip that was recorded is played on the page. Gradio names its folder by the SHA-256 of
        # its content, so nobody else can ask for it.
        self._recording = re.compile(re.escape(files) + r"[0-9a-f]{64}/[^/]+\.(webm|mp4)")

    def _allows(self, path: str) -> bool:
        if path == "/" or self._recording.fullmatch(path):
            return True
        return path.startswith(self._routes) and ".." not in path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        path: str = scope["path"]
        if not self._allows(path):
            await _refuse(send, 404)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        limit = MAX_BYTES + _MULTIPART
        if not length.isdigit() or int(length) > limit:
            await _refuse(send, 413)
            return
        received = 0

        async def receive_limited() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return {"type": "http.disconnect"} if received > limit else message

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        await self._application(scope, receive_limited, send_with_headers)


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b""})
