"""psycopg2 in the console: what an exporter of metrics asks PgBouncer for, with the types it expects."""
import json
import sys
from decimal import Decimal

import psycopg2

connection = psycopg2.connect(sys.argv[1])
connection.autocommit = True
cursor = connection.cursor()


def rows(command):
    cursor.execute(command)
    names = [column.name for column in cursor.description]
    return [dict(zip(names, row)) for row in cursor.fetchall()]


(version,) = rows("SHOW VERSION;")
assert version["version"].startswith("Switchyard "), version

lists = {row["list"]: row["items"] for row in rows("SHOW LISTS;")}
for name in ("databases", "users", "pools", "free_clients", "used_clients", "login_clients", "free_servers", "used_servers"):
    assert isinstance(lists[name], int), (name, lists)
assert lists["used_clients"] >= 1, lists

stats = rows("SHOW STATS;")
assert stats, "no database has statistics"
for row in stats:
    assert isinstance(row.pop("database"), str)
    for name, value in row.items():
        assert isinstance(value, Decimal), (name, value)
    assert row["total_query_count"] >= row["total_xact_count"] > 0, row
    assert row["total_received"] > 0 and row["total_sent"] > 0 and row["total_query_time"] > 0, row

for row in rows("SHOW POOLS;"):
    assert isinstance(row["database"], str) and isinstance(row["user"], str) and isinstance(row["pool_mode"], str)
    for name in ("cl_active", "cl_waiting", "sv_active", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us"):
        assert isinstance(row[name], int), (name, row)

for row in rows("SHOW DATABASES;"):
    assert isinstance(row["name"], str)
    for name in ("pool_size", "reserve_pool_size", "max_connections", "current_connections", "paused", "disabled"):
        assert isinstance(row[name], int), (name, row)

config = {row["key"]: row for row in rows("SHOW CONFIG;")}
assert int(config["max_client_conn"]["value"]) > 0
assert config["pool.size"]["changeable"] == "yes" and config["admin.address"]["changeable"] == "no"

# As drivers and frameworks do without being told to.
connection.autocommit = False
cursor.execute("SHOW STATE")
assert cursor.fetchone() == ("active", "yes")
connection.commit()
connection.rollback()

for command in json.loads(sys.argv[2]):
    cursor.execute("SHOW " + command)
    cursor.fetchall()
connection.commit()
connection.close()
print("passed")
