-- What the shapes share.

-- The text of an HTML fragment: blocks and breaks end a line, tags and comments go.
create or replace temp macro plain_text(html) as
    nullif(trim(
        replace(replace(replace(replace(replace(replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        regexp_replace(html, '(?is)<(script|style|head)\b.*?</(script|style|head)>|<!--.*?-->', '', 'g'),
                        '(?i)\s*(<br\s*/?>|</(p|div|li|tr|h[1-6]|blockquote)>)\s*', e'\n', 'g'
                    ),
                    '<[^<>]*>', '', 'g'
                ),
                '[ \t\r]+', ' ', 'g'
            ),
            '&nbsp;', ' '), '&lt;', '<'), '&gt;', '>'), '&quot;', '"'), '&#39;', ''''), '&amp;', '&'),
        e' \n'
    ), '');

-- One of our channels, from what a system calls the way somebody came; NULL for what says nothing.
create or replace temp macro channel_of(word) as
    case
        when regexp_matches(lower(word), 'phone|call|voice|hotline|电话|热线|呼叫') then 'phone'
        when regexp_matches(lower(word), 'chat|messag|whatsapp|wechat|sms|\bline\b|telegram|在线|微信|聊天') then 'chat'
        when regexp_matches(lower(word), 'facebook|twitter|instagram|social|weibo|微博|^x$') then 'social'
        when regexp_matches(lower(word), 'mail|web|form|portal|help|邮|网') then 'email'
        when regexp_matches(lower(word), 'visit|person|store|branch|meeting|拜访|门店|到店|当面') then 'in_person'
    end;

-- A case's status in words we know: closed, resting, or open.
create or replace temp macro status_of(word, is_closed) as
    case
        when is_closed then 'closed'
        when regexp_matches(lower(word), 'hold|suspend|挂起|搁置') then 'on hold'
        else 'open'
    end;

-- The first address of a list as mail programs write it.
create or replace temp macro first_address(addresses) as
    nullif(trim(string_split(replace(addresses, ',', ';'), ';')[1]), '');

-- The channel of a task, where its first word says that somebody called, wrote or visited.
create or replace temp macro channel_of_task(subject) as
    case
        when regexp_matches(lower(subject), '^\s*((phone )?call|rang|回?电话|致电|回电)') then 'phone'
        when regexp_matches(lower(subject), '^\s*(e-?mail|发?邮件)') then 'email'
        when regexp_matches(lower(subject), '^\s*(meeting|met|visit|拜访|面谈)') then 'in_person'
    end;

-- A time as mails write it (RFC 2822), in UTC; NULL for what is none.
create or replace temp macro time_of_mail(text) as
    try_strptime(text, '%a, %d %b %Y %H:%M:%S %z')::timestamptz at time zone 'UTC';
