-- Without the queue: it is planned after the marts are built.
{% set marts = [
    ref('dim_customers'), ref('dim_contact_points'), ref('dim_agents'), ref('fct_communications'),
    ref('fct_conversations'), ref('fct_conversation_metrics'), ref('fct_matters'), ref('matter_conversations'),
    ref('fct_survey_responses'), ref('fct_orders'), ref('conversation_needs'), ref('agg_service_daily'),
    ref('agg_backlog_daily'), ref('agg_channel_daily'), ref('agg_need_contacts'), ref('customer_satisfaction_index'),
    ref('customer_satisfaction_index_weekly'), ref('customer_value'), ref('customer_retention'),
    ref('customer_segments'), ref('customer_history'), ref('segment_history'), ref('satisfaction_predictions'),
    ref('comment_predictions'),
] %}
{# How many rows a view has is asked of what it is made of. #}
{% set made_of = {
    'fct_communications': ref('int_communications'), 'fct_conversations': ref('int_conversations'),
    'fct_conversation_metrics': ref('int_conversation_metrics'), 'fct_matters': ref('int_conversations'),
    'matter_conversations': ref('int_conversations'), 'conversation_needs': ref('int_needs_in_order'),
} %}

with

{% for mart in marts %}
{% set name = mart.identifier %}
{% set columns = steady_columns(graph.nodes['model.carelake.' ~ name]) if execute else [] %}
{{ name }}_counted as (
    select
        count(*) as n_rows,
        unnest([
            {%- for column in columns %}
            {{ profiled(column.name, column.data_type) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ], max_depth := 2),
    from {{ mart }}
),

-- About 20,000 rows, chosen by their key: always the same ones.
{{ name }}_looked_at as (
    select *
    from {{ mart }}
    where {{ is_looked_at(columns, one_in(made_of.get(name, mart), 20000)) }}
),

{{ name }}_sampled as (
    select
        unnest([
            {%- for column in columns %}
            {{ profiled_sample(column.name, column.data_type) }}{{ ',' if not loop.last }}
            {%- endfor %}
        ], max_depth := 2),
    from {{ name }}_looked_at
),
{% endfor %}

united as (
    {% for mart in marts %}
    select '{{ mart.identifier }}' as mart, counted.*, sampled.* exclude (column_name),
    from {{ mart.identifier }}_counted as counted
    inner join {{ mart.identifier }}_sampled as sampled using (column_name)
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

final as (
    select
        mart,
        column_name,
        data_type,
        n_rows,
        n_missing,
        n_distinct,
        mean,
        sd,
        min_value,
        max_value,
        quantiles[1] as p05,
        quantiles[2] as p25,
        quantiles[3] as p50,
        quantiles[4] as p75,
        quantiles[5] as p95,
        top_values,
    from united
)

select * from final
