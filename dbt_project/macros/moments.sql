{# The moment a company is looked at: the newest event time that is not later than its own extract,
   rounded up to the end of that reporting day; never the clock. CTEs, after one called `settings`.

   `before_retention` reads every row that counts but for its age, else only the rows that are kept. The
   moment is the same: what is newest is never too old. #}
{% macro moments(before_retention=false) -%}
newest_times as (
    select max(sent_at) filter (where sent_at <= extracted_at) as newest,
    from {{ rows_of('communications', before_retention) }}
    union all
    select max(sent_at) filter (where sent_at <= extracted_at) from {{ rows_of('email_messages', before_retention) }}
    union all
    select
        greatest(
            max(started_at) filter (where started_at <= extracted_at),
            max(ended_at) filter (where ended_at <= extracted_at)
        )
    from {{ rows_of('call_legs', before_retention) }}
    union all
    select
        greatest(
            max(opened_at) filter (where opened_at <= extracted_at),
            max(first_reply_at) filter (where first_reply_at <= extracted_at),
            max(closed_at) filter (where closed_at <= extracted_at),
            max(survey_at) filter (where survey_at <= extracted_at)
        )
    from {{ rows_of('conversations', before_retention) }}
    union all
    select max(responded_at) filter (where responded_at <= extracted_at) from {{ rows_of('survey_responses', before_retention) }}
    union all
    select max(ordered_at) filter (where ordered_at <= extracted_at) from {{ rows_of('orders', before_retention) }}
    union all
    select max(ordered_at) filter (where ordered_at <= extracted_at) from {{ rows_of('order_lines', before_retention) }}
    union all
    select max(occurred_at) filter (where occurred_at <= extracted_at) from {{ rows_of('events', before_retention) }}
),

newest_event as (
    select max(newest) as newest from newest_times
),

newest_extract as (
    select max(extracted_at) as newest from {{ source('ops', 'ledger') }}
    where status in ('loaded', 'released')
),

moments as (
    select
        settings.* exclude (as_of_override),
        case
            when length(settings.as_of_override) > 10 then settings.as_of_override::timestamptz
        end as fixed_moment,
        coalesce(
            settings.as_of_override::date,
            (coalesce(newest_event.newest, newest_extract.newest) at time zone settings.reporting_timezone)::date
        ) as last_day,
    from settings
    cross join newest_event
    cross join newest_extract
)
{%- endmacro %}

{% macro rows_of(entity, before_retention) -%}
    {%- if before_retention -%}
        (
            select typed.*
            from {{ ref('stg_' ~ entity ~ '__typed') }} as typed
            anti join {{ ref('stg_' ~ entity ~ '__set_aside') }} as set_aside
                on
                    typed.batch_seq = set_aside.batch_seq
                    and typed.file_name = set_aside.file_name
                    and typed.row_number = set_aside.row_number
        )
    {%- else -%}
        {{ ref('stg_' ~ entity) }}
    {%- endif -%}
{%- endmacro %}

{# When what a row tells of happened: by this it grows too old. Customers and agents have no such time.
   `carelake/keeping/retention.py` removes by the same times; a test compares the two. #}
{% macro event_time(entity) -%}
    {{- {
        'communications': 'sent_at',
        'email_messages': 'sent_at',
        'call_legs': 'started_at',
        'transcripts': 'recorded_at',
        'conversations': 'greatest(opened_at, first_reply_at, closed_at, survey_at)',
        'survey_responses': 'responded_at',
        'orders': 'ordered_at',
        'order_lines': 'ordered_at',
        'events': 'occurred_at',
        'follow_ups': 'greatest(approved_at, due_at, completed_at)',
    }.get(entity, '') -}}
{%- endmacro %}

{# Whether a row is older than `retention:` in carelake.yml allows; false without a limit. A row without a
   time is as old as its extract. #}
{% macro is_expired(entity) -%}
    {%- if event_time(entity) -%}
        coalesce(
            coalesce({{ event_time(entity) }}, extracted_at)
            < (select keep_from from {{ ref('stg_retention') }} where entity = '{{ entity }}'),
            false
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}
