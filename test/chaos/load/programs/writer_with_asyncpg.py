"""Unique writes through a prepared statement of asyncpg; what becomes of each is said on standard output, one line of tab-separated fields.

Arguments: DSN WORKER PAUSE_MS STATEMENTS. With 0 STATEMENTS each write is its own transaction, else so many make an explicit one.
Ends when standard input ends.
"""
import asyncio
import sys
import time

import asyncpg

DSN, WORKER, PAUSE_S, STATEMENTS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) / 1000, int(sys.argv[4])
INSERT = "insert into chaos_writes(worker, n) values ($1, $2)"
CONNECT_TIMEOUT_S = 120


def now_ms():
    return time.monotonic() * 1000


def say(*fields):
    print("\t".join(str(field).replace("\t", " ").replace("\n", " ") for field in fields), flush=True)


def report(error, connection, during, first, count, began):
    """Says what went wrong; gives the connection back when it is still good."""
    # Errors that the driver makes itself have no severity.
    severity = getattr(error, "severity_en", None) or getattr(error, "severity", None) or ""
    state = (getattr(error, "sqlstate", None) or "") if severity else ""
    closed = connection is None or connection.is_closed() or severity in ("FATAL", "PANIC")
    lost = during != "connect" and closed
    unsent = 1 if during in ("connect", "begin", "statement") else 0
    detail = getattr(error, "detail", None) or ""
    say("error", first, count, during, state, severity, int(lost), unsent, began, now_ms(), error, detail)
    if closed and connection is not None:
        connection.terminate()
    return None if closed else connection


async def write(connection, statement, first, count):
    if STATEMENTS == 0:
        await statement.fetch(WORKER, first)
        return
    for i in range(count):
        await statement.fetch(WORKER, first + i)


async def main():
    over = asyncio.Event()
    asyncio.get_running_loop().run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: over.set())
    connection = statement = None
    n = 0
    while not over.is_set():
        count = max(1, STATEMENTS)
        first, during, began = n, "connect", now_ms()
        try:
            if connection is None:
                connection = await asyncpg.connect(DSN, timeout=CONNECT_TIMEOUT_S)
                statement = await connection.prepare(INSERT)
            began = now_ms()
            n += count
            if STATEMENTS == 0:
                during = "autocommit"
                await write(connection, statement, first, count)
            else:
                transaction = connection.transaction()
                during = "begin"
                await transaction.start()
                try:
                    during = "statement"
                    await write(connection, statement, first, count)
                except BaseException:
                    if not connection.is_closed():
                        await transaction.rollback()
                    raise
                during = "commit"
                await transaction.commit()
            say("ok", first, count, began, now_ms())
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, asyncio.TimeoutError) as error:
            connection = report(error, connection, during, first, 0 if during == "connect" else count, began)
            await asyncio.sleep(0.1)
        await asyncio.sleep(PAUSE_S)
    if connection is not None:
        connection.terminate()


asyncio.run(main())
