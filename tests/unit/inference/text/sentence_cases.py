"""Texts for the tests of sentences: hard ones with their ends marked, and drawn ones."""

from __future__ import annotations

import re

from hypothesis import strategies as st
from voxfleet_inference.text.sentences import split

# Each line is a text; "|" stands where a reader would end a sentence.
MARKED = """
It was a dark night.| "Stop!" he cried.| "Who goes there?"| Nobody answered, not even the dog.
The U.S. Government said so.| He lives in the U.S.| They know it well.
See Fig. 3 and No. 5 on pp. 12-15.| Dr. J. R. R. Tolkien Jr. agreed with Prof. Smith et al. about it.
He said no to her.| Then he sat in the sun.| It rose over them on Jan. 3 and Sat. 5.
Version 1.2.3 of foo.py costs $3.50, at 10:30 a.m. on www.example.com/a?b=c.d!| Write to john.doe@example.com.
He waited . . . and then he left.| Wait for me...| What was that noise?| Well… maybe not today.
(This is an aside.)| Then it goes on.| He left (quickly.) and never returned.
Acme Inc. announced it.| It was Acme Inc.| The company grew.| The Ph.D. student left.| She has a Ph.D.| She is smart.
1. Wash the rice carefully.| 2. Cook it for ten minutes.| 3. Eat it all up.
He lives at 7 St. James Ave. and she at 9 Elm Rd.| Nobody knows why.
That was plan B.| Then we all go.| It was I who spoke.| This was World War I.| The end of it.
At 5 p.m. we left.| We were back at 9 a.m.| The door was open.
Rent is $1,850/mo. + utilities for now.| We met from Mar. to Sept. in Ch. IV of the book.| Read Ps. 23 at night.
J. K. Rowling wrote it.| The J. Paul Getty Museum has it.
Is it 3.14 or 2.71?| It is 1,000,000.00 at least!| That is 50 % more.
The file is /etc/hosts.conf, not C:\\temp\\a.txt.| Open it now.
他对我说。|"你好，我是小明。"|然后他就走了。|她说："再见！"|大家都笑了起来。
我用的是Node.js和config.json文件。|版本是v1.2.3。|网址是https://example.com/a.b。
Mr.王在U.S.公司工作很多年了。|1.首先打开电源。|2.然后关闭它。
价格是3.14元左右。|时间是10:30整。|你说的是真的吗？！|这实在太好了！！！
这是第一句话。|This is the second sentence.|这是第三句话！|And the fourth one?
「你要去哪里？」|他没有回答我的问题……|只是静静地看着窗外。
""".strip().splitlines()

TEXTS = st.one_of(
    st.text(max_size=300),
    st.text(alphabet=st.sampled_from('ab Z9.,!?…。！？，"”’()\n中文3-#\t\u200d\u0301'), max_size=500),
    st.lists(
        st.sampled_from(
            ["Mr. ", "U.S. ", "No. ", "e.g. ", "3.14", "Then ", "he ", "? ", "! ", '"', "。", "他说", "\n", "\n\n"]
        ),
        max_size=60,
    ).map("".join),
)


def texts_of(text: str, **bounds: int) -> tuple[str, ...]:
    return tuple(sentence.text for sentence in split(text, **bounds))


def letters(text: str) -> str:
    return re.sub(r"\s", "", text)
