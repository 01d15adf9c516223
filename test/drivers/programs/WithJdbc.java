import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;

/** JDBC against the primary route: server-side prepared statements, batches, cursors with a fetch size, a time-out that cancels. */
public final class WithJdbc {
  public static void main(String[] arguments) throws SQLException {
    try (Connection connection = DriverManager.getConnection(arguments[0])) {
      for (int i = 0; i < 8; i++) {
        try (PreparedStatement statement = connection.prepareStatement("select ?::int + 1")) {
          statement.setInt(1, i);
          ResultSet result = statement.executeQuery();
          check(result.next() && result.getInt(1) == i + 1);
        }
      }
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        statement.execute("create temporary table batch(a int)");
      }
      try (PreparedStatement statement = connection.prepareStatement("insert into batch values (?)")) {
        for (int i = 0; i < 500; i++) {
          statement.setInt(1, i);
          statement.addBatch();
        }
        check(statement.executeBatch().length == 500);
      }
      connection.commit();
      try (PreparedStatement statement = connection.prepareStatement("select * from batch")) {
        statement.setFetchSize(50);
        ResultSet result = statement.executeQuery();
        int rows = 0;
        while (result.next()) rows++;
        check(rows == 500);
      }
      connection.commit();
      try (Statement statement = connection.createStatement()) {
        statement.setQueryTimeout(1);
        statement.execute("select pg_sleep(10)");
        check(false);
      } catch (SQLException error) {
        check("57014".equals(error.getSQLState()));
        connection.rollback();
      }
    }
    System.out.println("passed");
  }

  private static void check(boolean holds) {
    if (!holds) throw new AssertionError();
  }
}
