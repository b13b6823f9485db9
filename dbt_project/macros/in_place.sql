{# Tables and views are replaced in one statement, inside one transaction. The adapter's own way builds
   beside the old one, renames both and drops the old one, with looks into the catalogue in between,
   which small models feel. A build that is killed leaves
   the old table, as its transaction never ends. #}
{% materialization table, adapter="duckdb", supported_languages=['sql'] %}
    {%- set target_relation = this.incorporate(type='table') -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% do drop_other_kind(target_relation) %}
    {% call statement('main') -%}
        {%- if config.get('contract').enforced %}
            {{ get_assert_columns_equivalent(compiled_code) }}
            create or replace table {{ target_relation }} {{ get_table_columns_and_constraints() }};
            insert into {{ target_relation }} {{ get_column_names() }} (
                {{ get_select_subquery(compiled_code) }}
            );
        {%- else %}
            create or replace table {{ target_relation }} as (
                {{ compiled_code }}
            );
        {%- endif %}
    {%- endcall %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{% materialization view, adapter="duckdb", supported_languages=['sql'] %}
    {%- set target_relation = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks, inside_transaction=True) }}
    {% do drop_other_kind(target_relation) %}
    {% call statement('main') -%}
        {% if config.get('contract').enforced %}{{ get_assert_columns_equivalent(compiled_code) }}{% endif %}
        create or replace view {{ target_relation }} as (
            {{ compiled_code }}
        );
    {%- endcall %}
    {% do persist_docs(target_relation, model) %}
    {{ run_hooks(post_hooks, inside_transaction=True) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}

{# A table that became a view, or a view a table. #}
{% macro drop_other_kind(target_relation) %}
    {%- set existing = load_cached_relation(target_relation) -%}
    {% if existing is not none and existing.type != target_relation.type %}
        {% do adapter.drop_relation(existing) %}
    {% endif %}
{% endmacro %}
