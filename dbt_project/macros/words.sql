{# Status words of sources, by what they mean; lower case. #}
{% macro closed_words() -%}
    (
        'closed', 'close', 'resolved', 'solved', 'done', 'complete', 'completed', 'finished', 'fixed', 'ended',
        '已关闭', '已解决', '关闭', '完成', '已完成', '解决', '已结束'
    )
{%- endmacro %}

{% macro open_words() -%}
    (
        'open', 'opened', 'pending', 'new', 'in progress', 'in_progress', 'waiting', 'on hold', 'on_hold',
        'reopened', 'escalated', 'active', '处理中', '打开', '待处理', '未解决', '进行中', '重新打开'
    )
{%- endmacro %}

{# Nobody took the call. #}
{% macro unanswered_words() -%}
    (
        'missed', 'abandoned', 'no answer', 'no_answer', 'noanswer', 'busy', 'failed', 'unanswered', 'voicemail',
        '未接', '未接听', '放弃', '忙线'
    )
{%- endmacro %}

{% macro cancelled_words() -%}
    (
        'cancelled', 'canceled', 'cancel', 'refunded', 'returned', 'void', 'voided',
        '已取消', '取消', '已退款', '退款', '退货', '已退货'
    )
{%- endmacro %}

{# Such orders count for nothing. #}
{% macro is_cancelled(status, quantity, amount, order_id) -%}
    (
        coalesce({{ status }} in {{ cancelled_words() }}, false)
        or coalesce({{ quantity }} < 0, false)
        or coalesce({{ amount }} < 0, false)
        or regexp_matches({{ order_id }}, '^C\d+$')
    )
{%- endmacro %}

{# It rests until somebody else has done something. #}
{% macro on_hold_words() -%}
    ('on hold', 'on_hold', 'on-hold', 'hold', 'onhold', 'suspended', '挂起', '暂停', '搁置')
{%- endmacro %}

{# Somebody asks before buying. #}
{% macro presale_words() -%}
    (
        'presale', 'pre-sale', 'presales', 'pre-sales', 'pre sale', 'pre sales', 'sales', 'sales enquiry',
        'sales inquiry', 'product queries', 'product enquiry', '售前', '售前咨询', '购买咨询'
    )
{%- endmacro %}

{# Kinds of systems that make a customer of every address or account somebody writes from. #}
{% macro kinds_by_address() -%}
    (
        'zendesk', 'intercom', 'chatwoot', 'chatwoot_webhook', 'wecom_kf', 'wechat_oa', 'whatsapp', 'x', 'facebook'
    )
{%- endmacro %}
