{# Models that remember. What such a model made of its inputs stays until they change: every key has a
   version, the hash of all that went into it, and a build makes only the keys whose version differs.
   Versions are compared as sets, so that a build that was killed half-way, a late row, a correction or
   a deletion needs no care of its own, and a full refresh gives the same rows.

   The caller has a CTE `versioned` (key, row_version) of all keys there are now. `has_several`: a key has many rows. #}
{% macro changed(key, has_several=false) -%}
known as (
    {%- if is_incremental() %}
    select {{ 'distinct ' if has_several }}{{ key }}, row_version from {{ this }}
    {%- else %}
    select {{ key }}, row_version from versioned where false
    {%- endif %}
),

changed as (
    select {{ key }} from versioned anti join known using ({{ key }}, row_version)
    union
    select {{ key }} from known anti join versioned using ({{ key }}, row_version)
)
{%- endmacro %}

{# After the rows of a remembering model: a row of nothing but its key for each key that is gone, which
   dbt's delete+insert then takes out with the old row. `forget_gone` removes it again. A key that `has_several` rows
   may be there and have none any more, so each that changed gets such a row. #}
{% macro gone(key, has_several=false) -%}
    {% if is_incremental() -%}
    union all by name
    select changed.{{ key }} from changed {{- '' if has_several else ' anti join versioned using (' ~ key ~ ')' }}
    {%- endif %}
{%- endmacro %}

{% macro forget_gone() %}
    {%- if is_incremental() -%} delete from {{ this }} where row_version is null {%- endif -%}
{% endmacro %}

{# What hangs on all of a customer is remembered by customer: only rows, with a `customer_hash`, of those that
   changed. #}
{% macro of_changed_customers() -%}
    {%- if is_incremental() -%} semi join changed using (customer_hash) {%- endif -%}
{%- endmacro %}

{# The same for what is remembered by month. Most rows are told by their moment alone, which costs less than their month;
   no zone is a day ahead. The model needs `settings.reporting_timezone`. #}
{% macro of_changed_months(moment) -%}
    {%- if is_incremental() %} semi join changed
        on {{ moment }} >= changed.month - 1 and {{ moment }} < changed.month + interval 1 month + interval 1 day
            and {{ reporting_month(moment) }} = changed.month {%- endif -%}
{%- endmacro %}
