import java.io.IOException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

/**
 * Unique writes through server-side prepared statements of JDBC; what becomes of each is said on standard output, one line of
 * tab-separated fields. Arguments: URL WORKER PAUSE_MS STATEMENTS. With 0 STATEMENTS each write is its own transaction, else so many
 * make an explicit one. Ends when standard input ends.
 */
public final class WriterWithJdbc {
  private static final String INSERT = "insert into chaos_writes(worker, n) values (?, ?)";
  private static final long ERROR_PAUSE_MS = 100;
  private static volatile boolean isOver;

  private final int worker;
  private final int statements;
  private Connection connection;
  private PreparedStatement insert;
  private String during;

  private WriterWithJdbc(int worker, int statements) {
    this.worker = worker;
    this.statements = statements;
  }

  public static void main(String[] arguments) throws InterruptedException {
    Thread input = new Thread(WriterWithJdbc::watchInput);
    input.setDaemon(true);
    input.start();
    WriterWithJdbc writer = new WriterWithJdbc(Integer.parseInt(arguments[1]), Integer.parseInt(arguments[3]));
    long pauseMs = Long.parseLong(arguments[2]);
    int n = 0;
    while (!isOver) {
      n = writer.step(arguments[0], n);
      Thread.sleep(pauseMs);
    }
    System.exit(0);
  }

  private static void watchInput() {
    try {
      while (System.in.read() >= 0) continue;
    } catch (IOException error) {
      // The same as its end.
    }
    isOver = true;
  }

  private int step(String url, int first) throws InterruptedException {
    int count = Math.max(1, statements);
    int next = first;
    double began = nowMs();
    during = "connect";
    try {
      if (connection == null) {
        connection = DriverManager.getConnection(url);
        connection.setAutoCommit(statements == 0);
        insert = connection.prepareStatement(INSERT);
      }
      began = nowMs();
      next = first + count;
      during = statements == 0 ? "autocommit" : "statement";
      for (int i = 0; i < count; i++) {
        insert.setInt(1, worker);
        insert.setInt(2, first + i);
        insert.executeUpdate();
      }
      if (statements > 0) {
        during = "commit";
        connection.commit();
      }
      say("ok", first, count, began, nowMs());
    } catch (SQLException error) {
      report(error, first, next - first, began);
      Thread.sleep(ERROR_PAUSE_MS);
    }
    return next;
  }

  /** Says what went wrong, and closes the connection when it is no longer good. */
  private void report(SQLException error, int first, int count, double began) {
    // Errors that the driver makes itself have no message of the server.
    ServerErrorMessage words = error instanceof PSQLException own ? own.getServerErrorMessage() : null;
    String state = words == null ? "" : words.getSQLState();
    String severity = words == null ? "" : words.getSeverity();
    String detail = words == null || words.getDetail() == null ? "" : words.getDetail();
    String message = words == null ? error.getMessage() : words.getMessage();
    boolean isClosed = isClosed() || severity.equals("FATAL");
    int lost = isClosed && !during.equals("connect") ? 1 : 0;
    int unsent = during.equals("connect") || during.equals("statement") ? 1 : 0;
    say("error", first, count, during, state, severity, lost, unsent, began, nowMs(), message, detail);
    if (!isClosed && statements > 0) {
      try {
        connection.rollback();
      } catch (SQLException second) {
        isClosed = true;
        say("error", first, 0, "rollback", "", "", 1, 1, nowMs(), nowMs(), second.getMessage(), "");
      }
    }
    if (isClosed) close();
  }

  private boolean isClosed() {
    try {
      return connection == null || connection.isClosed();
    } catch (SQLException error) {
      return true;
    }
  }

  private void close() {
    try {
      if (connection != null) connection.close();
    } catch (SQLException error) {
      // It is as closed as it gets.
    }
    connection = null;
  }

  private static double nowMs() {
    return System.nanoTime() / 1e6;
  }

  private static void say(Object... fields) {
    StringBuilder line = new StringBuilder();
    for (Object field : fields) {
      if (line.length() > 0) line.append('\t');
      line.append(String.valueOf(field).replace('\t', ' ').replace('\n', ' '));
    }
    System.out.println(line);
    System.out.flush();
  }
}
