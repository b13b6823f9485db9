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
