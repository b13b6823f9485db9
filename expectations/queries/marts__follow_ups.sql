-- One row per owner: the open follow-ups that the next publication shows.
with as_of as (
    select as_of from intermediate.int_as_of
),

open_tasks as (
    select
        queue.*,
        customers.do_not_contact,
        customers.customer_key is null as is_stranger,
        count(*) over (partition by queue.customer_key) as n_of_customer,
    from marts.follow_up_queue as queue
    left join marts.dim_customers as customers on queue.customer_key = customers.customer_key
    where queue.status in ('proposed', 'approved')
),

final as (
    select
        coalesce(open_tasks.owner, 'nobody') as owner,
        count(*) as n_open,
        count(*) filter (where open_tasks.do_not_contact and open_tasks.status = 'proposed')
            as n_unwanted,
        count(*) filter (where open_tasks.n_of_customer > 1) as n_repeated_customers,
        count(*) filter (where open_tasks.is_stranger) as n_strangers,
        count(*) filter (
            where open_tasks.reason is null
            or trim(open_tasks.reason) = ''
            or open_tasks.owner is null
            or open_tasks.channel is null
            or open_tasks.due_at is null
        ) as n_incomplete,
        count(*) filter (where open_tasks.status = 'approved' and open_tasks.due_at < as_of.as_of)
            as n_overdue,
    from open_tasks
    cross join as_of
    group by coalesce(open_tasks.owner, 'nobody')
    order by 1
)

select * from final
