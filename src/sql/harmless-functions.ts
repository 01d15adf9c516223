/**
 * Functions of PostgreSQL that change nothing, neither in the database nor in the session nor elsewhere: what calls no other function may
 * run twice. The commonest of those that are not volatile in `pg_proc`, and volatile ones that are harmless. A function of a user with the
 * same name, in a schema before `pg_catalog`, would be taken for one of them.
 */
const harmless: ReadonlySet<string> = new Set(
  // Aggregates and window functions.
  (
    'count sum avg min max array_agg string_agg bool_and bool_or every json_agg jsonb_agg json_object_agg jsonb_object_agg ' +
    'stddev variance percentile_cont percentile_disc mode row_number rank dense_rank lag lead first_value last_value nth_value ' +
    // Numbers.
    'abs ceil ceiling floor round trunc mod power sqrt exp ln log sign random ' +
    // Strings.
    'lower upper initcap length char_length octet_length substr substring left right trim btrim ltrim rtrim lpad rpad replace ' +
    'translate split_part strpos position concat concat_ws format md5 sha256 encode decode repeat reverse overlay starts_with ' +
    'regexp_replace regexp_match regexp_matches regexp_split_to_array regexp_split_to_table quote_ident quote_literal ' +
    'quote_nullable to_char to_number to_date to_timestamp ascii chr ' +
    // Dates and times.
    'now transaction_timestamp statement_timestamp clock_timestamp timeofday date_trunc date_part extract age make_date ' +
    'make_interval make_timestamp make_timestamptz justify_days justify_hours timezone date_bin ' +
    // Arrays, ranges, JSON.
    'array_length array_position array_to_string string_to_array unnest cardinality array_append array_cat array_remove ' +
    'generate_series lower_inc upper_inc isempty json_build_object jsonb_build_object json_build_array jsonb_build_array ' +
    'to_json to_jsonb row_to_json jsonb_set jsonb_path_query jsonb_path_exists jsonb_array_elements jsonb_array_elements_text ' +
    'json_array_elements json_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys jsonb_array_length jsonb_typeof ' +
    // The rest.
    'gen_random_uuid pg_sleep pg_backend_pid pg_is_in_recovery current_database current_schema current_schemas current_setting ' +
    'version inet_server_addr inet_server_port inet_client_addr pg_typeof pg_column_size pg_relation_size pg_total_relation_size ' +
    'pg_size_pretty pg_table_is_visible pg_get_userbyid pg_get_expr pg_get_indexdef pg_get_constraintdef pg_get_viewdef ' +
    'format_type obj_description col_description has_table_privilege has_schema_privilege to_tsvector to_tsquery ' +
    'plainto_tsquery websearch_to_tsquery ts_rank ts_headline'
  ).split(' '),
);

/** Whether a call of the function surely changes nothing. */
export function isHarmlessFunction(name: string): boolean {
  return harmless.has(name);
}
