{% set entities = [
    'communications', 'conversations', 'customers', 'survey_responses', 'orders', 'order_lines', 'events',
    'agents', 'follow_ups', 'email_messages', 'call_legs', 'transcripts',
] %}

with

rejects as (
    {% for entity in entities -%}
        select source_name, '{{ entity }}' as entity, batch_id, file_name, row_number, reason,
        from {{ ref('stg_' ~ entity ~ '__classified') }}
        where disposition = 'rejected'
        union all
    {% endfor -%}
    select source_name, entity, batch_id, file_name, row_number, reason,
    from {{ source('ops', 'structural_rejects') }}
),

-- A reason quotes the value that could not be read; what it quotes is masked like any text.
final as (
    select source_name, entity, batch_id, file_name, row_number, {{ mask_text('reason') }} as reason,
    from rejects
)

select * from final
