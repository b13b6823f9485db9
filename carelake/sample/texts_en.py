"""English phrases customers and agents use; `{slots}` are filled in `texts`."""

from __future__ import annotations

GREETINGS = ["Hi", "Hello", "Good morning", "Dear team", "Hey there", "Excuse me", ""]

OPENINGS = {
    "delivery": [
        "my {product} has been on its way for {days} days now, order {order}",
        "tracking for {order} has not moved, can you check where it is",
        "the courier says delivered but nothing arrived in {city}",
        "I need to change the delivery address for the {product}",
        "when will the {product} get to {city}",
        "nobody showed up for today's delivery of the {product}",
    ],
    "refund": [
        "I would like to return the {product}, how do I get a refund",
        "it has been {days} days and the refund for {order} is not on my account",
        "I cancelled {order}, when do I get my money back",
        "the {product} does not fit, can I swap it for another colour",
        "the parcel went back last week, where is my refund of {amount} yuan",
    ],
    "quality": [
        "the {product} stopped working after {days} days",
        "the {product} arrived scratched and the box was torn",
        "there is a strong smell coming from the {product}",
        "the new {product} does not switch on",
        "two screws are missing from the {product}",
    ],
    "billing": [
        "when can I have the invoice for order {order}",
        "why was I charged twice for the {product}, {amount} yuan in all",
        "the company name on the invoice is wrong, can you issue it again",
        "my voucher was not applied to {order}",
    ],
    "usage": [
        "how do I connect the {product} to my phone",
        "how often should the filter of the {product} be changed",
        "I lost the manual of the {product}, could you send one",
        "is the {product} safe in the dishwasher",
        "how long is the warranty on the {product}",
    ],
    "installation": [
        "I want to book someone in {city} to install the {product}",
        "the fitter wants to move the date, when will the {product} be installed",
        "does installing the {product} cost extra",
        "the {product} wobbles since it was put together, could someone come again",
    ],
    "service": [
        "your colleague promised to call back {days} days ago and never did",
        "I have something to say about the service in your {city} shop",
        "I explained the same thing several times already, order {order}",
        "could somebody else look after my {product} case",
    ],
    "presale": [
        "is the {product} in stock",
        "what is the difference between this {product} and the last one",
        "what does shipping the {product} to {city} cost",
        "are there any offers on the {product} at the moment",
        "what would you recommend below {amount} yuan",
    ],
}

MOODS = {
    "bad": [
        "this is taking far too long", "I am really disappointed", "this is ridiculous",
        "what a waste of my time", "I am never ordering again", "stop passing me around",
        "I want to file a complaint", "nobody seems to care", "this is unacceptable",
        "I am fed up with this", "you keep changing your story", "it has been a nightmare",
    ],
    "calm": [
        "please have a look", "no rush, today is fine", "thanks in advance",
        "let me know when you can", "I attached a photo", "this never happened before",
        "I ordered it in the app", "I am at home at the weekend", "it is a gift",
    ],
    "good": [
        "I have always liked your products", "your colleague was so patient last time",
        "appreciate your work", "a friend recommended you", "lovely packaging by the way",
        "I am sure you can sort it out", "great quality so far", "thanks for the quick reply",
        "really happy with the last order",
    ],
}  # fmt: skip

DETAILS = [
    "the order number is {order}", "it says {product} on the label", "bought {days} days ago",
    "the address is in {city}", "I restarted it already, same thing", "I paid {amount} yuan",
    "sending another picture", "yes, that one", "somebody called me once before",
    "any time after three works",
]  # fmt: skip

CHASES = [
    "anyone there",
    "still waiting for an answer",
    "any news",
    "please reply",
    "??",
]

CLOSINGS = {
    "good": ["that worked, thank you", "perfect, thanks a lot", "all sorted, cheers",
             "great, thanks for your patience", "got it, many thanks"],
    "plain": ["ok", "understood", "right, leave it there", "I will have another look", "noted"],
    "bad": ["forget it", "that did not help", "so no answer then", "I will wait again I guess",
            "fine, hope it is true this time"],
}  # fmt: skip

RETURNS = [
    "me again, the problem with the {product} is still there",
    "you said {order} was dealt with and nothing has changed",
    "what was promised yesterday did not happen", "same issue as last time, please look again",
    "it is not fixed",
]  # fmt: skip

AGENT_ANSWERS = [
    "Hello, this is {agent}, let me check that for you",
    "Thanks for waiting, I can see order {order} and will follow it up",
    "Sorry for the trouble, could you send us a photo",
    "I have logged this, you will hear from us within {days} days",
    "Let me ask the warehouse about the {product}", "Which name is the order under, please",
]  # fmt: skip

AGENT_SOLUTIONS = [
    "This has been taken care of, please check on your side",
    "The refund has been issued and takes {days} working days",
    "A fitter in {city} will call you, please keep your phone on",
    "A new {product} left our warehouse today",
    "The manual is on its way to you, do come back with any question",
]

PERSONAL = [
    "my number is {phone}", "you can write to {email}", "my ID is {id_number} for the check",
    "please refund to card {card}",
]  # fmt: skip

REMARKS = {
    "good": ["{agent} was patient and quick", "fast and friendly, happy",
             "good service, will buy again", "solved, thanks"],
    "plain": ["it was ok", "average", "nothing special", "fine"],
    "bad": ["waited forever, no follow-up", "not solved,\nexplained it three times",
            "could not care less, disappointed", "the call back never came", "refund far too slow"],
}  # fmt: skip

SUBJECTS = {
    "delivery": "Where is order {order}", "refund": "Refund for {order}",
    "quality": "Problem with my {product}", "billing": "Invoice question",
    "usage": "How to use the {product}", "installation": "Installing the {product}",
    "service": "Feedback on your service", "presale": "Question about the {product}",
}  # fmt: skip
