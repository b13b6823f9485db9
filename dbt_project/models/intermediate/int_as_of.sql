with

settings as (
    select
        coalesce(max(value) filter (where key = 'reporting_timezone'), 'UTC') as reporting_timezone,
        coalesce(max(value) filter (where key = 'default_region'), 'CN') as default_region,
        coalesce(max(value) filter (where key = 'index_window_days'), '90')::integer as index_window_days,
        coalesce(max(value) filter (where key = 'value_floor'), '0.1')::decimal(9, 6) as value_floor,
        coalesce(max(value) filter (where key = 'cv_basis'), 'monetary') as cv_basis,
        coalesce(max(value) filter (where key = 'unanswered_days'), '3')::integer as unanswered_days,
        coalesce(max(value) filter (where key = 'ces_easy_is'), 'high') as ces_easy_is,
        nullif(max(value) filter (where key = 'as_of_override'), '') as as_of_override,
    from {{ source('ops', 'settings') }}
),

newest_times as (
    select max(sent_at) filter (where sent_at <= extracted_at) as newest from {{ ref('stg_communications') }}
    union all
    select max(sent_at) filter (where sent_at <= extracted_at) from {{ ref('stg_email_messages') }}
    union all
    select
        greatest(
            max(opened_at) filter (where opened_at <= extracted_at),
            max(first_reply_at) filter (where first_reply_at <= extracted_at),
            max(closed_at) filter (where closed_at <= extracted_at),
            max(survey_at) filter (where survey_at <= extracted_at)
        )
    from {{ ref('stg_conversations') }}
    union all
    select max(responded_at) filter (where responded_at <= extracted_at) from {{ ref('stg_survey_responses') }}
    union all
    select max(ordered_at) filter (where ordered_at <= extracted_at) from {{ ref('stg_orders') }}
    union all
    select max(ordered_at) filter (where ordered_at <= extracted_at) from {{ ref('stg_order_lines') }}
    union all
    select max(occurred_at) filter (where occurred_at <= extracted_at) from {{ ref('stg_events') }}
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
),

final as (
    select
        coalesce(
            fixed_moment,
            (last_day::timestamp + interval 1 day) at time zone reporting_timezone
        ) as as_of,
        last_day,
        reporting_timezone,
        default_region,
        index_window_days,
        value_floor,
        cv_basis,
        unanswered_days,
        ces_easy_is,
    from moments
)

select * from final
