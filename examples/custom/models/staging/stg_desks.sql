select
    trim(topic) as topic,
    trim(desk) as desk,
from {{ ref('desks') }}
