import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** JDBC in the console, in its usual mode: prepared after some runs, then with binary results. */
public class ConsoleJdbc {
    public static void main(String[] args) throws SQLException {
        try (Connection connection = DriverManager.getConnection(args[0]); Statement statement = connection.createStatement()) {
            for (int i = 0; i < 8; i += 1) {
                try (ResultSet rows = statement.executeQuery("SHOW LISTS")) {
                    int nodes = -1;
                    while (rows.next()) if (rows.getString("list").equals("nodes")) nodes = rows.getInt("items");
                    check(nodes == 2, "nodes: " + nodes);
                }
            }
            var prepared = connection.prepareStatement("SHOW STATS");
            for (int i = 0; i < 8; i += 1) {
                try (ResultSet rows = prepared.executeQuery()) {
                    check(rows.next() && rows.getBigDecimal("total_xact_count").longValue() > 0, "no transactions");
                }
            }
            for (int i = 1; i < args.length; i += 1) statement.executeQuery("SHOW " + args[i]).close();
            check(connection.isValid(5), "not valid");
            connection.setAutoCommit(false);
            statement.executeQuery("SHOW VERSION").close();
            connection.commit();
        }
        System.out.println("passed");
    }

    private static void check(boolean isRight, String what) {
        if (!isRight) throw new AssertionError(what);
    }
}
