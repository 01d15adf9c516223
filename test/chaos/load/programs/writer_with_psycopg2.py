"""Unique writes through psycopg2; what becomes of each is said on standard output, one line of tab-separated fields.

Arguments: DSN WORKER PAUSE_MS STATEMENTS. With 0 STATEMENTS each write is its own transaction, else so many make an explicit one.
Ends when standard input ends.
"""
import sys
import threading
import time

import psycopg2

DSN, WORKER, PAUSE_S, STATEMENTS = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) / 1000, int(sys.argv[4])
INSERT = "insert into chaos_writes(worker, n) values (%s, %s)"
over = threading.Event()


def now_ms():
    return time.monotonic() * 1000


def say(*fields):
    print("\t".join(str(field).replace("\t", " ").replace("\n", " ") for field in fields), flush=True)


def watch_input():
    sys.stdin.read()
    over.set()


threading.Thread(target=watch_input, daemon=True).start()


def report(error, connection, during, first, count, began):
    """Says what went wrong; gives the connection back when it is still good."""
    diagnosis = getattr(error, "diag", None)
    severity = (diagnosis and diagnosis.severity_nonlocalized) or ""
    state = (error.pgcode or "") if severity else ""
    lost = during != "connect" and (connection is None or connection.closed != 0)
    detail = (diagnosis and diagnosis.message_detail) or ""
    message = (diagnosis and diagnosis.message_primary) or str(error)
    # Before COMMIT nothing can have happened, whatever broke.
    unsent = 1 if during in ("connect", "begin", "statement") else 0
    say("error", first, count, during, state, severity, int(lost), unsent, began, now_ms(), message, detail)
    if connection is None or connection.closed != 0:
        return None
    if STATEMENTS > 0:
        try:
            connection.rollback()
        except psycopg2.Error as second:
            gone = int(connection.closed != 0)
            say("error", first, 0, "rollback", second.pgcode or "", "", gone, 1, now_ms(), now_ms(), second, "")
    return connection if connection.closed == 0 else None


def main():
    connection = None
    n = 0
    while not over.is_set():
        count = max(1, STATEMENTS)
        first, during, began = n, "connect", now_ms()
        try:
            if connection is None:
                connection = psycopg2.connect(DSN)
                connection.autocommit = STATEMENTS == 0
            began = now_ms()
            n += count
            during = "autocommit" if STATEMENTS == 0 else "statement"
            with connection.cursor() as cursor:
                for i in range(count):
                    cursor.execute(INSERT, (WORKER, first + i))
            if STATEMENTS > 0:
                during = "commit"
                connection.commit()
            say("ok", first, count, began, now_ms())
        except psycopg2.Error as error:
            connection = report(error, connection, during, first, 0 if during == "connect" else count, began)
            over.wait(0.1)
        over.wait(PAUSE_S)


main()
