{# What was known of somebody at any time, out of all versions of its rows. Makes CTEs:
   `<name>_firsts`, one row per key: the first value handed over of each column;
   `<name>_changes`, only of keys whose values changed: the values from `known_at` on.
   A row is known from its change on, where the source tells of one, else from when it was extracted. What
   came before the first one is told by the first value: no later change moves it. #}
{% macro as_known(entity, name, key, expression, columns, joined=none) %}
{{ name }}_versions as (
    select
        {{ expression }} as {{ key }},
        coalesce(versions.updated_at, versions.extracted_at) as known_at,
        {% for column in columns -%}
        versions.{{ column }},
        {% endfor -%}
        row_number() over (
            order by
                coalesce(versions.updated_at, versions.extracted_at), versions.extracted_at, versions.file_name,
                versions.row_number, versions.source_name, versions.batch_id
        ) as position,
    from {{ ref('stg_' ~ entity ~ '__classified') }} as versions
    {% if joined -%}
    inner join {{ joined }}
        on versions.source_name = {{ joined }}.source_name and versions.customer_id = {{ joined }}.customer_id
    {% endif -%}
    where versions.disposition in ('staged', 'superseded')
),

{{ name }}_firsts as (
    select
        {{ key }},
        {% for column in columns -%}
        arg_min({{ column }}, position) filter (where {{ column }} is not null) as {{ column }},
        {% endfor -%}
        count(distinct [{% for column in columns %}{{ column }}::varchar{{ ', ' if not loop.last }}{% endfor %}]) as n_values,
    from {{ name }}_versions
    group by {{ key }}
),

{{ name }}_filled as (
    select
        {{ key }},
        known_at,
        {% for column in columns -%}
        last_value({{ column }} ignore nulls) over so_far as {{ column }},
        {% endfor -%}
        row_number() over (partition by {{ key }}, known_at order by position desc) as from_last,
    from {{ name }}_versions
    semi join (select {{ key }}, from {{ name }}_firsts where n_values > 1) as changed using ({{ key }})
    window so_far as (partition by {{ key }} order by position)
),

{{ name }}_changes as (
    select * exclude (from_last) from {{ name }}_filled where from_last = 1
)
{%- endmacro %}
