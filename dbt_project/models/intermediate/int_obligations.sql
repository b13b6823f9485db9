{{ config(materialized='view') }}

with

settings as (
    select
        as_of,
        -- the oldest window of the index's history begins here
        as_of - to_days(index_window_days + 7 * {{ var('index_history_weeks') }}) as window_start,
    from {{ ref('int_as_of') }}
),

replies as (
    select
        customer_key,
        'reply' as kind,
        first_reply_due_at as due_at,
        first_reply_at as done_at,
    from {{ ref('int_conversation_metrics') }}
    where first_reply_due_at is not null
),

outcomes as (
    select
        follow_up_id,
        {{ identity_key('null::varchar') }} as identity_key,
        approved_at,
        due_at,
        completed_at,
    from {{ ref('stg_follow_ups') }}
),

-- A task approved here is due here; what became of it comes back from where the work is done.
tasks as (
    select
        coalesce(planned.customer_key, identities.customer_key) as customer_key,
        'follow_up' as kind,
        coalesce(outcomes.due_at, planned.due_at) as due_at,
        coalesce(outcomes.completed_at, case when planned.status = 'done' then planned.due_at end) as done_at,
    from outcomes
    full outer join {{ source('care', 'follow_ups') }} as planned using (follow_up_id)
    left join {{ ref('int_identities') }} as identities using (identity_key)
    where outcomes.approved_at is not null or planned.status in ('approved', 'done')
),

allowed_tasks as (
    select tasks.*
    from tasks
    inner join {{ ref('int_customers') }} as customers using (customer_key)
    where not customers.do_not_contact
),

united as (
    select * from replies
    union all
    select * from allowed_tasks
),

final as (
    select
        united.customer_key,
        united.kind,
        united.due_at,
        united.done_at,
        coalesce(united.done_at <= united.due_at, false) as is_met,
    from united
    cross join settings
    where
        united.customer_key is not null
        and united.due_at > settings.window_start
        and united.due_at <= settings.as_of
)

select * from final
