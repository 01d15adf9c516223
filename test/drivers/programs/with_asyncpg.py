"""asyncpg against the primary route: a pool, prepared statements, batches, binary COPY, cursors, a time-out that cancels."""
import asyncio
import sys

import asyncpg


async def main(dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=2, max_size=5)
    async with pool.acquire() as connection:
        assert await connection.fetchval("select $1::int + 1", 41) == 42
        await connection.execute("create temporary table batch(a int)")
        await connection.executemany("insert into batch values ($1)", [(i,) for i in range(1000)])
        await connection.copy_records_to_table("batch", records=[(i,) for i in range(1000)])
        async with connection.transaction():
            count = 0
            async for _ in connection.cursor("select * from batch"):
                count += 1
            assert count == 2000
        try:
            await connection.fetch("select 1/0")
            raise AssertionError("no error came")
        except asyncpg.exceptions.DivisionByZeroError:
            pass
    assert await asyncio.gather(*[pool.fetchval("select $1::int", i) for i in range(100)]) == list(range(100))
    async with pool.acquire() as connection:
        try:
            await connection.fetch("select pg_sleep(10)", timeout=0.3)
            raise AssertionError("no time-out came")
        except asyncio.TimeoutError:
            pass
        assert await connection.fetchval("select 2") == 2
    await pool.close()


asyncio.run(main(sys.argv[1]))
print("passed")
