{# The columns of a model that are the same in every run: those not marked volatile. #}
{% macro steady_columns(node) -%}
    {%- set steady = [] -%}
    {%- for column in node.columns.values() -%}
        {%- if not (column.config.meta.volatile or column.meta.volatile) -%}
            {%- do steady.append(column) -%}
        {%- endif -%}
    {%- endfor -%}
    {{ return(steady) }}
{%- endmacro %}

{# What a column of a mart is: a number, a time, a word of few values, or something that shows no values (keys, texts,
   names). #}
{% macro column_sort(name, type) -%}
    {%- set type = type | lower -%}
    {%- if type.startswith(('decimal', 'integer', 'bigint')) -%} number
    {%- elif type.startswith(('date', 'timestamp')) -%} time
    {%- elif type in ('boolean', 'varchar')
        and not name.endswith(('_key', '_masked', '_id', '_digest', 'name', 'reason', 'value', 'joined_to')) -%} word
    {%- else -%} other
    {%- endif -%}
{%- endmacro %}

{# What all rows say of a column, as a struct of aggregates. #}
{% macro profiled(name, type) -%}
    {%- set sort = column_sort(name, type) | trim -%}
    {
        'column_name': '{{ name }}',
        'data_type': '{{ type }}',
        'n_missing': count(*) - count({{ name }}),
        'mean': {% if sort == 'number' %}(sum({{ name }}) / count({{ name }})){% else %}null{% endif %}::decimal(38, 6),
        'min_value': {% if sort in ('number', 'time') %}min({{ name }}){% else %}null{% endif %}::varchar,
        'max_value': {% if sort in ('number', 'time') %}max({{ name }}){% else %}null{% endif %}::varchar
    }
{%- endmacro %}

{# What some rows say of a column: what is dear to work out. #}
{% macro profiled_sample(name, type) -%}
    {%- set sort = column_sort(name, type) | trim -%}
    {
        'column_name': '{{ name }}',
        'n_distinct': len(list_distinct(list({{ name }}))),
        -- in order, so that it is the same in every run
        'sd': {% if sort == 'number' -%}
            case
                when count({{ name }}) > 1 then list_aggregate(list_sort(list({{ name }}::double)), 'stddev_samp')
            end
        {%- else %}null{% endif %}::decimal(38, 6),
        'quantiles': {% if sort == 'number' -%}
            quantile_disc({{ name }}::decimal(38, 6), [0.05, 0.25, 0.5, 0.75, 0.95])
        {%- else %}null{% endif %}::decimal(38, 6)[],
        'top_values': {% if sort == 'word' -%}
            to_json(list_slice(list_reverse_sort(list_transform(
                map_entries(histogram({{ name }}::varchar)),
                lambda said: { 'n': struct_extract(said, 'value'), 'value': struct_extract(said, 'key') }
            )), 1, 10))
        {%- else %}null{% endif %}::json
    }
{%- endmacro %}

{# Whether a row is one of every so many. Keys are hexadecimal and random, so the small ones are as good as any: by a bound
   DuckDB chooses rows before it reads their other columns, which by a hash it does not. #}
{% macro is_looked_at(columns, every) -%}
    {%- set keys = [] -%}
    {%- for column in columns -%}
        {%- if column.name.endswith('_key') and column.constraints -%}{%- do keys.append(column.name) -%}{%- endif -%}
    {%- endfor -%}
    {%- if every <= 1 or not columns -%} true
    {%- elif keys -%} {{ keys[0] }} < '{{ '%08x' % (4294967296 // every) }}'
    {%- else -%} hash({{ columns[0].name }}) % {{ every }} = 0
    {%- endif -%}
{%- endmacro %}

{# Every how many rows one is looked at, so that about `n_rows` of a relation are. A number, not a subquery: by a number
   DuckDB chooses the rows before it reads their other columns. #}
{% macro one_in(relation, n_rows) -%}
    {%- if execute and flags.WHICH in ('build', 'run') -%}
        {{ return([run_query('select count(*) // ' ~ n_rows ~ ' from ' ~ relation).columns[0][0], 1] | max) }}
    {%- endif -%}
    {{ return(1) }}
{%- endmacro %}
