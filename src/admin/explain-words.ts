import { isTextRunning } from '../sql/catalog-functions.js';
import { ReadObstacle } from '../sql/read-obstacle.js';

/** Why a statement goes where it goes, for people. */
export interface Words {
  /** One sentence. */
  readonly why: string;
  /** What to do so that it may go to a standby; null: nothing, it belongs on the primary. */
  readonly remedy: string | null;
}

/** `name`: what stands in the way, as verdicts have it. */
export function wordsOf(obstacle: ReadObstacle, name: string | null): Words {
  const what = name ?? '';
  switch (obstacle) {
    case ReadObstacle.RowLock:
      return only('It locks rows (FOR UPDATE or the like), which a standby cannot do.');
    case ReadObstacle.Write:
      return only('It changes rows, by itself or within WITH.');
    case ReadObstacle.Into:
      return only('SELECT INTO makes a table.');
    case ReadObstacle.Transaction:
      return {
        why: 'It begins or ends a transaction that may write.',
        remedy: 'Begin with BEGIN READ ONLY where the transaction only reads.',
      };
    case ReadObstacle.Session:
      return only('It is about the session itself (SET, PREPARE, LISTEN, cursors), which is kept on the primary.');
    case ReadObstacle.Show:
      return only('Settings differ from node to node.');
    case ReadObstacle.ExplainAnalyze:
      return only('EXPLAIN ANALYZE runs the statement.');
    case ReadObstacle.Execute:
      return only('What was prepared decides, which is not known here; explain that statement instead.');
    case ReadObstacle.Definition:
      return only('It changes the schema or rights.');
    case ReadObstacle.Utility:
      return only('It is no query.');
    case ReadObstacle.Unknown:
      return only('It could not be read, so that nothing proves that it changes nothing.');
    case ReadObstacle.VolatileFunction:
      return wordsOfVolatile(what);
    case ReadObstacle.UnknownFunction:
      return {
        why: `There is no function ${what}() in the database, as far as is known.`,
        remedy: 'If it was made just now, it is known after routing.catalog_refresh at the latest.',
      };
    case ReadObstacle.WriteFunction:
      return {
        why: `${what}() stands in routing.write_functions.`,
        remedy: 'Take it out of that list if it only reads.',
      };
    case ReadObstacle.NodeBoundFunction:
      return byFunction(`What ${what}() answers belongs to the node that is asked.`, what, 'any node may answer');
    case ReadObstacle.NodeBoundRelation:
      return only(
        `${what} shows something else on each node, or is not stored there (statistics, sequences, foreign tables).`,
      );
    case ReadObstacle.UnloggedRelation:
      return only(`${what} is unlogged, or has an unlogged partition: a standby does not have it.`);
    case ReadObstacle.VolatileOperator:
      return byFunction(`An operator of it runs ${what}(), which may change something.`, what);
    case ReadObstacle.VolatileCast:
      return byFunction(`A cast or a type of it runs ${what}(), which may change something.`, what);
    case ReadObstacle.ViewNotRead:
      return only(`The view ${what} is no read itself.`);
    case ReadObstacle.NoCatalog:
    default:
      return {
        why: 'The functions and views of the database are not known (yet), so that nothing proves that it changes nothing.',
        remedy:
          'The monitor role must be able to log in to the database; the log of the proxy says what it failed with.',
      };
  }
}

function wordsOfVolatile(name: string): Words {
  if (isTextRunning(name.split('.').at(-1) ?? '')) {
    return byFunction(`${name}() runs a query that cannot be told from here.`, name, 'its queries only read');
  }
  const why = `${name}() may change something: it is volatile, or assigns a transaction its number.`;
  // PostgreSQL's own functions are told without a schema; those that change nothing are known.
  return name.includes('.') ? byFunction(`${name}() is volatile, so that it may change something.`, name) : only(why);
}

function only(why: string): Words {
  return { why, remedy: null };
}

function byFunction(why: string, name: string, unless = 'it changes nothing'): Words {
  return { why, remedy: `If ${unless}, allow it in the configuration: routing.read_functions: [${flow(name)}]` };
}

/** A name within a list of YAML. */
function flow(name: string): string {
  return name.includes('"') ? `'${name.replaceAll("'", "''")}'` : name;
}
