-- a topic that stands twice in desks.csv would count its conversations twice
select conversation_key
from {{ ref('int_desk_conversations') }}
group by conversation_key
having count(*) > 1
