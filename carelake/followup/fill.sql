-- Give every chosen task a place on a working day of its owner: in order of priority, as many a
-- day as the owner can do, the rest on the next working day, up to the horizon.
create or replace temporary table followup_filled as
with intervals as (
    select
        days.day::date as day,
        (days.day::date + hours.opens) at time zone $timezone as opens_at,
        (days.day::date + hours.closes) at time zone $timezone as closes_at,
    from generate_series(
        ($as_of::timestamptz at time zone $timezone)::date::timestamp,
        ($as_of::timestamptz at time zone $timezone)::date::timestamp + interval 400 days,
        interval 1 day
    ) as days (day)
    inner join ops.business_hours as hours on isodow(days.day) = hours.day_of_week
    where days.day::date not in (select holidays.day from ops.holidays as holidays)
),

working_days as (
    select
        day,
        min(opens_at) as opens_at,
        row_number() over (order by day) as day_number,
    from intervals
    where closes_at > $as_of::timestamptz
    group by day
    qualify day_number <= $horizon_days
),

candidates as (
    select
        *,
        row_number() over (
            partition by owner
            order by priority, urgency desc nulls last, position, customer_key
        ) as place,
    from followup_chosen
    where contact_channel is not null and not do_not_contact and not has_open and not is_cooling
),

-- A team does what its agents do together; a name of its own capacity goes before both.
owners as (
    select
        wanted.owner,
        coalesce(
            limits.capacity, $daily_capacity * greatest(count(agents.agent_key), 1)
        )::bigint as capacity,
    from (select distinct candidates.owner from candidates) as wanted
    left join followup_capacities as limits on wanted.owner = limits.owner
    left join marts.dim_agents as agents on wanted.owner = agents.team
    group by wanted.owner, limits.capacity
),

-- Tasks a person has approved fill their day first; what is overdue fills the first day.
taken as (
    select
        follow_ups.owner,
        greatest(
            coalesce(working_days.day_number, 1), 1
        ) as day_number,
        count(*) as n_taken,
    from care.follow_ups as follow_ups
    asof left join working_days
        on follow_ups.due_at >= working_days.opens_at
    where
        follow_ups.status = 'approved'
        and follow_ups.due_at < (select max(working_days.opens_at) + interval 1 day from working_days)
    group by follow_ups.owner, greatest(coalesce(working_days.day_number, 1), 1)
),

free_places as (
    select
        owners.owner,
        working_days.day_number,
        working_days.opens_at,
        sum(greatest(owners.capacity - coalesce(taken.n_taken, 0), 0)) over (
            partition by owners.owner
            order by working_days.day_number
        ) as places_until,
        greatest(owners.capacity - coalesce(taken.n_taken, 0), 0) as places,
    from owners
    cross join working_days
    left join taken
        on owners.owner = taken.owner and working_days.day_number = taken.day_number
),

placed as (
    select
        candidates.*,
        free_places.day_number,
        greatest(free_places.opens_at, $as_of::timestamptz)
            + to_hours(rules.due_within_hours) as wished_due_at,
    from candidates
    inner join followup_rules as rules on candidates.position = rules.position
    inner join free_places
        on
            candidates.owner = free_places.owner
            and candidates.place <= free_places.places_until
            and candidates.place > free_places.places_until - free_places.places
),

-- A due time outside business hours moves on to the next opening.
final as (
    select
        placed.* exclude (wished_due_at),
        greatest(placed.wished_due_at, intervals.opens_at) as due_at,
        row_number() over (
            order by
                placed.priority,
                placed.urgency desc nulls last,
                placed.position,
                placed.customer_key
        ) as rank,
    from placed
    asof inner join intervals on placed.wished_due_at <= intervals.closes_at
)

select * from final
