select
    desk,
    sum(n_conversations) as n_conversations,
from marts.agg_desk_load
group by desk
order by desk
