{# Small readers of source text. Each gives NULL for what it cannot read; whether that makes the row
   a reject is said in the model, beside the column, with `unread`. #}

{# Text without blanks around it; an empty text is a missing one. #}
{% macro as_text(column) -%}
    nullif(trim({{ column }}), '')
{%- endmacro %}

{# load wrote what it could parse as ISO UTC. Anything else is not a time, though DuckDB might read
   one into it: its zone would be a guess. Years have four digits and begin with 0001: other clients
   than DuckDB know no more. #}
{% macro as_time(column) -%}
    case
        when ends_with({{ column }}, 'Z') and {{ column }}[5] = '-' and {{ column }} >= '0001'
            then try_cast({{ column }} as timestamptz)
    end
{%- endmacro %}

{# Numbers as people type them: currency signs, thousands separators, spaces. #}
{% macro as_number(column, type) -%}
    coalesce(
        try_cast({{ column }} as {{ type }}),
        try_cast(regexp_replace({{ column }}, '[,，\s¥￥$€£]|[A-Za-z]{3}$|^[A-Za-z]{3}|元$', '', 'g') as {{ type }})
    )
{%- endmacro %}

{% macro as_flag(column) -%}
    case
        when {{ column }} is null then null
        when lower(trim({{ column }})) in ('true', 't', 'yes', 'y', '1', '是', '对', 'on') then true
        when lower(trim({{ column }})) in ('false', 'f', 'no', 'n', '0', '否', '不', 'off', '') then false
    end
{%- endmacro %}

{# An address as mail programs compare it; NULL when it cannot be one. #}
{% macro as_email(column) -%}
    nullif(regexp_extract(
        lower(trim({{ column }})),
        '^(?:[^<>]*<)?(?:mailto:)?\s*([^\s<>@,;:"]+@(?:[^\s<>@,;:".]+\.)+[^\s<>@,;:".]{2,})\s*>?$',
        1
    ), '')
{%- endmacro %}

{# Accounts are compared without their sign and case. #}
{% macro as_handle(column) -%}
    nullif(ltrim(lower(trim({{ column }})), '@'), '')
{%- endmacro %}

{# Words of both languages for our five channels; an unknown word stays, and is judged. #}
{% macro as_channel(column) -%}
    case
        when {{ column }} is null then null
        when lower(trim({{ column }})) in (
            'phone', 'call', 'voice', 'telephone', 'tel', 'hotline', 'phone call', '电话', '热线', '来电', '呼叫'
        ) then 'phone'
        when lower(trim({{ column }})) in ('email', 'e-mail', 'mail', '邮件', '电子邮件', '邮箱', '电邮') then 'email'
        when lower(trim({{ column }})) in (
            'chat', 'live chat', 'livechat', 'webchat', 'web chat', 'im', 'online chat', 'whatsapp', 'wechat',
            '在线', '在线客服', '聊天', '在线聊天', '即时通讯', '微信', '客服聊天'
        ) then 'chat'
        when lower(trim({{ column }})) in (
            'social', 'social media', 'social_media', 'twitter', 'x', 'facebook', 'instagram', 'weibo',
            '微博', '社交', '社交媒体', '小红书', '抖音'
        ) then 'social'
        when lower(trim({{ column }})) in (
            'in_person', 'in person', 'in-person', 'store', 'visit', 'face to face', '门店', '线下', '当面', '到店', '面谈'
        ) then 'in_person'
        else lower(nullif(trim({{ column }}), ''))
    end
{%- endmacro %}

{% macro as_direction(column) -%}
    case
        when {{ column }} is null then null
        when lower(trim({{ column }})) in (
            'inbound', 'in', 'incoming', 'received', 'customer', 'true', '呼入', '来电', '收到', '客户'
        ) then 'inbound'
        when lower(trim({{ column }})) in (
            'outbound', 'out', 'outgoing', 'sent', 'agent', 'outcall', 'false', '呼出', '去电', '发出', '客服'
        ) then 'outbound'
        else lower(nullif(trim({{ column }}), ''))
    end
{%- endmacro %}

{% macro as_gender(column) -%}
    case
        when lower(trim({{ column }})) in (
            'female', 'f', 'woman', 'w', 'ms', 'mrs', 'miss', '女', '女性', '女士', '小姐', '0'
        ) then 'female'
        when lower(trim({{ column }})) in ('male', 'm', 'man', 'mr', '男', '男性', '先生', '1') then 'male'
        when lower(trim({{ column }})) in (
            'other', 'x', 'non-binary', 'nonbinary', 'non binary', 'diverse', '其他', '其它'
        ) then 'other'
    end
{%- endmacro %}

{% macro as_survey_kind(column) -%}
    case
        when {{ column }} is null then null
        when lower(trim({{ column }})) in ('csat', 'satisfaction', 'customer satisfaction', '满意度') then 'csat'
        when lower(trim({{ column }})) in ('nps', 'net promoter score', '净推荐值', '推荐度') then 'nps'
        when lower(trim({{ column }})) in ('ces', 'customer effort score', 'effort', '费力度') then 'ces'
        else lower(nullif(trim({{ column }}), ''))
    end
{%- endmacro %}

{# How a message sounds, as a source or its people told; an unknown word stays, and is judged. #}
{% macro as_sentiment(column) -%}
    case
        when {{ column }} is null then null
        when lower(trim({{ column }})) in (
            'negative', 'neg', 'unhappy', 'angry', 'bad', '负面', '消极', '负向', '不满', '差评'
        ) then 'negative'
        when lower(trim({{ column }})) in (
            'neutral', 'neu', '中性', '一般', '中立', '中评'
        ) then 'neutral'
        when lower(trim({{ column }})) in (
            'positive', 'pos', 'happy', 'good', '正面', '积极', '正向', '满意', '好评'
        ) then 'positive'
        else lower(nullif(trim({{ column }}), ''))
    end
{%- endmacro %}

{# zh when a fifth of the text is Han, else en when Latin letters are in it, else other; a text
   without letters has no language. A language the source names wins. #}
{% macro as_language(declared, body) -%}
    case
        when lower(trim({{ declared }})) similar to '(zh|zho|chi|chinese|中文|cn|汉语).*' then 'zh'
        when lower(trim({{ declared }})) similar to '(en|eng|english|英文|英语).*' then 'en'
        when nullif(trim({{ declared }}), '') is not null then 'other'
        when {{ body }} is null then null
        when
            regexp_matches({{ body }}, '\p{Han}')
            and 5 * length(regexp_replace({{ body }}, '[^\p{Han}]', '', 'g')) >= length({{ body }})
            then 'zh'
        when regexp_matches({{ body }}, '[A-Za-z]') then 'en'
        when regexp_matches({{ body }}, '\p{L}') then 'other'
    end
{%- endmacro %}

{# "opened_at is not a time: 31/02/2024", or NULL when the column was empty or readable. #}
{% macro unread(column, what, reader) -%}
    case
        -- what was read comes first: DuckDB then takes it from the column, and does not read it twice
        when {{ reader }} is null and nullif(trim({{ column }}), '') is not null
            then '{{ column }} is not a {{ what }}: ' || left(trim({{ column }}), 60)
    end
{%- endmacro %}

{% macro unread_time(column) -%}
    {{ unread(column, 'time', as_time(column)) }}
{%- endmacro %}

{% macro unread_number(column, type) -%}
    {{ unread(column, 'number', as_number(column, type)) }}
{%- endmacro %}

{# Rules on typed columns, each NULL when kept. #}
{% macro missing(column) -%}
    case when {{ column }} is null then '{{ column }} is missing' end
{%- endmacro %}

{# A number nothing real has: its products and sums would not fit their columns, and stop the build. #}
{% macro beyond(column, limit) -%}
    case when abs({{ column }}) > {{ limit }} then '{{ column }} is beyond {{ limit }}' end
{%- endmacro %}

{% macro unknown_channel(column) -%}
    case
        when {{ column }} not in ('phone', 'email', 'chat', 'social', 'in_person')
            then 'channel ''' || {{ column }} || ''' is not one of phone, email, chat, social, in_person'
    end
{%- endmacro %}

{% macro unknown_sentiment(column) -%}
    case
        when {{ column }} not in ('negative', 'neutral', 'positive')
            then 'sentiment ''' || {{ column }} || ''' is not one of negative, neutral, positive'
    end
{%- endmacro %}

{% macro score_out_of_range(kind, score) -%}
    case
        when {{ kind }} not in ('csat', 'nps', 'ces')
            then 'survey_kind ''' || {{ kind }} || ''' is not one of csat, nps, ces'
        when coalesce({{ kind }}, 'csat') = 'csat' and {{ score }} not between 1 and 5
            then 'survey_score ' || {{ score }}::varchar || ' is outside 1..5 (csat)'
        when {{ kind }} = 'nps' and {{ score }} not between 0 and 10
            then 'survey_score ' || {{ score }}::varchar || ' is outside 0..10 (nps)'
        when {{ kind }} = 'ces' and {{ score }} not between 1 and 7
            then 'survey_score ' || {{ score }}::varchar || ' is outside 1..7 (ces)'
    end
{%- endmacro %}

{% macro before(later, earlier) -%}
    case when {{ later }} < {{ earlier }} then '{{ later }} lies before {{ earlier }}' end
{%- endmacro %}

{% macro negative(column) -%}
    case when {{ column }} < 0 then '{{ column }} is negative' end
{%- endmacro %}
