select
    desk,
    {{ month_of('opened_at') }} as month,
    count(*)::integer as n_conversations,
    median(first_reply_minutes)::decimal(18, 3) as median_first_reply_minutes,
from {{ ref('int_desk_conversations') }}
where opened_at is not null
group by desk, month
