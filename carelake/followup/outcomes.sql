-- What people did with a task comes back as rows of a source of entity follow_ups: take their word
-- before proposals are thrown away, so that an approved task outlives the plan that made it.
update care.follow_ups
set status = reported.status
from (
    select
        follow_up_id,
        case
            when
                lower(trim(status)) in ('done', 'completed', 'complete', 'closed', 'finished', '已完成', '完成')
                or completed_at is not null
                then 'done'
            when lower(trim(status)) in ('approved', 'accepted', 'open', 'in progress', '已批准', '批准')
                then 'approved'
            when lower(trim(status)) in ('dropped', 'rejected', 'cancelled', 'canceled', '取消', '已取消')
                then 'dropped'
        end as status,
    from staging.stg_follow_ups
    qualify row_number() over (
        partition by follow_up_id
        order by updated_at desc nulls last, completed_at desc nulls last, source_name
    ) = 1
) as reported
where
    follow_ups.follow_up_id = reported.follow_up_id
    and reported.status is not null
    and follow_ups.status is distinct from reported.status
