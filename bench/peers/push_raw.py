"""What no GraphQL server on uvicorn can beat: one frame, written to every transport as it is."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import uvicorn
from redis.asyncio import Redis
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

REDIS = Redis.from_url(os.environ["PUSH_REDIS"])
FOLLOWERS: dict[str, list[Any]] = {}
TASKS: set[asyncio.Task[None]] = set()


class Protocol(WebSocketsSansIOProtocol):
    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        scope: Any = self.scope
        scope["extensions"]["raw"] = self


async def broadcast() -> None:
    pubsub: Any = REDIS.pubsub()
    await pubsub.psubscribe("job:*")
    async for message in pubsub.listen():
        if message["type"] != "pmessage":
            continue
        followers = FOLLOWERS.get(message["channel"][4:].decode(), ())
        data = b'{"id":"1","type":"next","payload":{"data":{"jobStatus":' + message["data"] + b"}}}"
        frame = b"\x81\x7e" + len(data).to_bytes(2, "big") + data
        for protocol in followers:
            protocol.transport.write(frame)


async def serve(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        return
    if not TASKS:
        TASKS.add(asyncio.create_task(broadcast()))
    await receive()
    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
    while (event := await receive())["type"] != "websocket.disconnect":
        message = json.loads(event["text"])
        if message["type"] == "connection_init":
            await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
        elif message["type"] == "subscribe":
            job = message["payload"]["variables"]["id"]
            FOLLOWERS.setdefault(job, []).append(scope["extensions"]["raw"])
        elif message["type"] == "ping":
            await send({"type": "websocket.send", "text": '{"type":"pong"}'})


if __name__ == "__main__":
    uvicorn.run(
        serve,
        port=int(os.environ["PUSH_PORT"]),
        ws=Protocol,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        backlog=4096,
        lifespan="off",
    )
