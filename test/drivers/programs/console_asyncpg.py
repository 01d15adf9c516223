"""asyncpg in the console: the extended protocol with binary results."""
import asyncio
import json
import sys
from decimal import Decimal

import asyncpg


async def main():
    connection = await asyncpg.connect(sys.argv[1])
    for command in json.loads(sys.argv[2]):
        await connection.fetch("SHOW " + command)
    totals = {row["name"]: row["value"] for row in await connection.fetch("SHOW TOTALS")}
    assert isinstance(totals["total_xact_count"], Decimal) and totals["total_client_bytes"] > 10, totals
    lists = {row["list"]: row["items"] for row in await connection.fetch("SHOW LISTS")}
    assert lists["used_clients"] == 3 and lists["nodes"] == 2, lists
    await connection.close()


asyncio.run(main())
print("passed")
