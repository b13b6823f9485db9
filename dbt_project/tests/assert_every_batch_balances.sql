-- Every physical record of every batch is accounted for; a row here is a record lost or invented.
select *
from {{ ref('source_runs') }}
where not is_balanced
