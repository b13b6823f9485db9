-- One row per segment; no row at all before the first model is promoted.
with sizes as (
    select count(*) as n_customers from marts.dim_customers
),

final as (
    select
        segments.segment_id,
        count(distinct segments.segment_name) as n_names,
        count(*) - count(segments.segment_name) as n_unnamed,
        count(*) - count(distinct segments.customer_key) as n_repeated_keys,
        count(distinct segments.model_version) as n_versions,
        count(*) filter (where segments.distance < 0) as n_negative_distances,
        count(*) / max(sizes.n_customers) as customer_share,
        (sum(count(*)) over () / max(sizes.n_customers))::double as covered_share,
    from marts.customer_segments as segments
    cross join sizes
    group by segments.segment_id
    order by segments.segment_id
)

select * from final
