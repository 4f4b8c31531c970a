# pyright: basic
"""Serves the page by uvicorn: no request leaves the machine, and the page speaks the reader's language."""

from __future__ import annotations

import json
import logging
import socket
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
import uvicorn
from fastapi import FastAPI
from gradio.themes import Base, Default
from starlette.datastructures import Headers, QueryParams
from starlette.middleware.trustedhost import TrustedHostMiddleware

from sonimate.apps.page.page_texts import LANGUAGES, language_of, translations
from sonimate.apps.streams import publish
from sonimate.errors import AddressNotFree

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOCALES = {"en": "en", "zh": "zh-CN"}
"""Names of the languages in Gradio's own texts."""
STYLE = """
.gradio-container { width: 100% !important; max-width: 1180px !important; margin: auto; }
progress { width: 100%; height: 1rem; }
.problem { border-left: 4px solid #b91c1c; padding: .5rem .75rem; overflow-wrap: anywhere; }
table.differences th, table.differences td { padding: .25rem .75rem; text-align: left; }
#first input, #second input { text-overflow: ellipsis; padding-right: 1.75rem; }
#speech time, #speech button span { color: var(--body-text-color) !important; }
"""
FONT = ("system-ui", "Noto Sans", "Noto Sans CJK SC", "PingFang SC", "Microsoft YaHei", "sans-serif")
"""Of the reader's system; Gradio's default comes from a server of Google."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket at an address; port 0 takes a free one. Raises AddressNotFree."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen()
        except OSError:
            listener.close()
            raise
        return listener
    except OSError as error:
        raise AddressNotFree(
            f"{host} port {port} cannot be used ({error.strerror}). Give another --port, 0 for any free one, "
            "or another --host."
        ) from error


def serve_page(page: gr.Blocks, listener: socket.socket, host: str, results: Path) -> None:
    """Print the address and serve until a signal."""
    app = mounted(page, results)
    if is_loopback(host):  # else another web site could reach the page by a name that leads here
        app = TrustedHostMiddleware(app, allowed_hosts=["127.0.0.1", "localhost", "[::1]", host])
    shown = f"[{host}]" if ":" in host else host
    publish(f"sonimate: open http://{shown}:{listener.getsockname()[1]} in the browser. Ctrl-C ends it.")
    config = uvicorn.Config(app, log_level=logging.WARNING, timeout_graceful_shutdown=2)
    uvicorn.Server(config).run(sockets=[listener])


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def mounted(page: gr.Blocks, results: Path) -> ASGIApp:
    """The page as an application that a server can run."""
    tables = {LOCALES[language]: translations(language) for language in LANGUAGES}
    app = gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        page,
        path="/",
        footer_links=[],
        run_history=False,
        show_error=True,
        allowed_paths=[str(results)],
        max_file_size="500mb",
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        i18n=gr.I18n(**tables),
        theme=readable_theme(),
        css=STYLE,
    )
    return InReadersLanguage(app)


def readable_theme() -> Base:
    """Gradio's, with the system's fonts and with enough contrast (WCAG 2, 4.5 : 1) for small text."""
    theme = Default(primary_hue="blue", font=list(FONT), font_mono=["ui-monospace", "monospace"])
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        color_accent="*primary_700",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
    )


class InReadersLanguage:
    """Sets the language of the page's HTML, and tells Gradio that of ?lang=: it asks the browser alone."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        language = language_of(QueryParams(scope["query_string"]), Headers(scope=scope))
        # Compressed text could not be changed.
        headers = [pair for pair in scope["headers"] if pair[0] != b"accept-encoding"]
        scope = {**scope, "headers": headers}
        start: dict[str, Any] = {}
        body = b""

        async def collect(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = dict(message)
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            html = in_language(body, language)
            headers = [pair for pair in start["headers"] if pair[0] != b"content-length"]
            await send({**start, "headers": [*headers, (b"content-length", str(len(html)).encode())]})
            await send({"type": "http.response.body", "body": html})

        await self._app(scope, receive, collect)


def in_language(html: bytes, language: str) -> bytes:
    """A page with the language in its `lang` and in the script's view of the browser."""
    locale = json.dumps(LOCALES[language])
    script = (
        f'<script>for (const [name, value] of [["language", {locale}], ["languages", [{locale}]]])'
        "Object.defineProperty(navigator, name, {get: () => value});</script>"
    )
    named = html.replace(b'lang="en"', f'lang="{LOCALES[language]}"'.encode(), 1)
    return named.replace(b"<head>", b"<head>" + script.encode(), 1)
