-- Posts on X -> communications. Who wrote a post, and whom it answers, stands once a page beside the posts.
--
-- A post that was edited has a new id; the first one of its history stays the message's. What our account writes comes
-- with its own posts, and is left out of its mentions. Retweets are nobody's words to us.
with

read as (
    select
        row_number,
        page_number,
        record,
        from_json(record, '{
            "id": "VARCHAR", "text": "VARCHAR", "note_tweet": {"text": "VARCHAR"}, "author_id": "VARCHAR",
            "conversation_id": "VARCHAR", "in_reply_to_user_id": "VARCHAR", "created_at": "VARCHAR", "lang": "VARCHAR"
        }') as post,
        json_extract_string(record, '$.edit_history_tweet_ids[0]') as first_id,
        json_extract(record, '$.referenced_tweets[*]') as referenced,
    from records
),

users as (
    select page_number, unnest(json_extract(page, '$."includes.users"[*]')) as person,
    from pages
),

people as (
    select
        page_number,
        json_extract_string(person, '$.id') as id,
        any_value(json_extract_string(person, '$.username')) as username,
        any_value(json_extract_string(person, '$.name')) as full_name,
    from users
    group by all
),

told as (
    select
        *,
        list_transform(
            list_filter(referenced, lambda other: json_extract_string(other, '$.type') = 'replied_to'),
            lambda other: json_extract_string(other, '$.id')
        )[1] as answered_id,
        len(list_filter(referenced, lambda other: json_extract_string(other, '$.type') = 'retweeted')) > 0 as is_retweet,
        coalesce(list_contains(string_split($ours, ','), post.author_id), false) as is_ours,
        -- an answer to a post of our own is to nobody else
        case
            when not list_contains(string_split($ours, ','), post.in_reply_to_user_id) then post.in_reply_to_user_id
        end as answered_person,
    from read
),

customers as (
    select *, case when is_ours then answered_person else post.author_id end as customer_id,
    from told
    where
        not coalesce(is_retweet, false)
        and ($object = 'posts' or post.author_id is distinct from $account)
),

final as (
    select
        customers.row_number,
        json_merge_patch(customers.record, '{"text": null, "note_tweet": null}') as record,
        coalesce(customers.first_id, customers.post.id) as communication_id,
        customers.post.conversation_id as conversation_id,
        customers.answered_id as in_reply_to,
        'social' as channel,
        case when customers.is_ours then 'outbound' else 'inbound' end as direction,
        customers.customer_id,
        people.username as handle,
        people.full_name as customer_name,
        customers.post.created_at as sent_at,
        plain_text(coalesce(customers.post.note_tweet.text, customers.post.text)) as body,
        -- codes of X's own: nothing but pictures, links, tags, or too little to tell; and two codes of the past
        case
            when customers.post.lang in ('und', 'zxx', 'art', 'qam', 'qct', 'qht', 'qme', 'qst') then null
            when customers.post.lang = 'in' then 'id'
            when customers.post.lang = 'iw' then 'he'
            else customers.post.lang
        end as language,
        customers.post.created_at as updated_at,
    from customers
    left join people on customers.page_number = people.page_number and customers.customer_id = people.id
)

select * from final
