"""psycopg2 against the primary route: transactions, errors, COPY both ways, a cancelled query."""
import io
import sys

import psycopg2

connection = psycopg2.connect(sys.argv[1])
cursor = connection.cursor()
cursor.execute("select %s::int + 1, %s", (41, "x"))
assert cursor.fetchall() == [(42, "x")]
connection.commit()

cursor.execute("create temporary table copied(a int, b text)")
cursor.copy_from(io.StringIO("1\tx\n2\ty\n"), "copied")
out = io.StringIO()
cursor.copy_to(out, "copied")
assert out.getvalue() == "1\tx\n2\ty\n"
connection.commit()

try:
    cursor.execute("select 1/0")
    raise AssertionError("no error came")
except psycopg2.errors.DivisionByZero:
    connection.rollback()

with connection.cursor(name="server_side") as named:
    named.itersize = 10
    named.execute("select generate_series(1, 95)")
    assert len(list(named)) == 95
connection.commit()

cursor.execute("set statement_timeout = '200ms'")
connection.commit()
try:
    cursor.execute("select pg_sleep(10)")
    raise AssertionError("no time-out came")
except psycopg2.errors.QueryCanceled:
    connection.rollback()
connection.close()
print("passed")
