"""What the texts of the preference world speak about: topics, facts that are right or wrong, and ways to say them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Topic:
    """A subject of prompts.

    Fields:
        name: for `Sample.meta`.
        aspects: what can be asked about it.
        facts: (before, right, wrong, after): a sentence that is true with the one word and false with the other.
    """

    name: str
    aspects: tuple[str, ...]
    facts: tuple[tuple[str, str, str, str], ...]


TOPICS = (
    Topic(
        "bread",
        ("baking bread at home", "keeping a sourdough starter", "why dough rises", "storing a loaf", "choosing flour"),
        (
            ("Yeast turns sugar into ", "carbon dioxide", "pure oxygen", ", which lifts the dough"),
            ("Kneading builds ", "gluten", "sugar", ", so that the crumb holds together"),
            ("A longer rest in the fridge gives ", "more", "less", " flavour"),
            ("Salt ", "slows", "speeds up", " the fermentation a little"),
            ("The crust turns brown because of the ", "Maillard reaction", "melting of salt", ""),
            ("Whole wheat takes up ", "more", "less", " water than white flour"),
        ),
    ),
    Topic(
        "sleep",
        ("falling asleep earlier", "napping in the afternoon", "what dreams are", "jet lag", "sleeping in hot weather"),
        (
            ("Bright light in the evening ", "delays", "brings forward", " the inner clock"),
            ("Most adults do best with about ", "seven to nine", "three to four", " hours a night"),
            ("Caffeine works for ", "several hours", "two minutes", " after a cup of coffee"),
            ("Vivid dreams come mostly in ", "REM sleep", "deep sleep without dreams", ""),
            ("A room that is rather ", "cool", "hot", " makes falling asleep easier"),
            ("Flying ", "east", "nowhere", " is usually the harder direction for the inner clock"),
        ),
    ),
    Topic(
        "mountains",
        ("planning a first alpine hike", "altitude sickness", "how mountains form", "reading the weather up there", "avalanches"),
        (
            ("Water boils at a ", "lower", "higher", " temperature on a high summit"),
            ("Ranges like the Himalaya rise where two plates ", "collide", "drift apart", ""),
            ("Air pressure ", "falls", "grows", " as you climb"),
            ("Most slab avalanches are released by ", "the people caught in them", "distant voices", ""),
            ("Storms build up most often in the ", "afternoon", "early morning", " in summer"),
            ("Going up ", "slowly", "as fast as possible", " helps the body to get used to the height"),
        ),
    ),
    Topic(
        "programming",
        ("learning to program", "finding a bug", "sorting a long list", "version control", "writing tests"),
        (
            ("Binary search needs a list that is ", "sorted", "shuffled", ""),
            ("Merge sort takes time proportional to ", "n log n", "the cube of n", " in the worst case"),
            ("A hash table looks a key up in ", "constant", "exponential", " time on average"),
            ("A failing test is easiest to read when it checks ", "one thing", "everything at once", ""),
            ("A commit should hold ", "one change", "a month of unrelated changes", " that can be explained in a sentence"),
            ("Floating point numbers represent one tenth ", "approximately", "exactly", ""),
        ),
    ),
    Topic(
        "gardening",
        (
            "growing tomatoes on a balcony",
            "making compost",
            "watering in a dry summer",
            "pruning an apple tree",
            "attracting bees",
        ),
        (
            ("Tomatoes like at least six hours of ", "sun", "darkness", " a day"),
            ("Compost needs both green and ", "brown", "plastic", " material"),
            ("Watering ", "deeply and rarely", "a drop every hour", " makes roots grow down"),
            ("Apple trees are usually pruned in ", "late winter", "full bloom", ""),
            ("Beans ", "fix", "destroy", " nitrogen with the help of bacteria"),
            ("A layer of mulch ", "keeps", "drives out", " moisture in the soil"),
        ),
    ),
    Topic(
        "money",
        ("starting to save", "what inflation does", "paying off a loan", "comparing bank accounts", "planning for retirement"),
        (
            ("Compound interest pays interest on ", "interest", "nothing", " as well"),
            ("Inflation means that prices ", "rise", "fall", " over time"),
            ("Paying off the loan with the ", "highest", "lowest", " interest first saves the most"),
            ("Spreading money over many companies ", "lowers", "raises", " the risk"),
            ("A fund that copies an index is usually ", "cheaper", "dearer", " than one with a star manager"),
            ("Three months of expenses in reserve is a ", "common", "forbidden", " rule of thumb"),
        ),
    ),
    Topic(
        "space",
        ("why the moon has phases", "watching stars in the city", "black holes", "life on a space station", "the planets"),
        (
            ("The phases of the moon come from the angle of ", "sunlight", "clouds", " that falls on it"),
            ("Light from the sun takes about eight ", "minutes", "years", " to reach us"),
            ("Jupiter is the ", "largest", "smallest", " planet of the solar system"),
            ("Nothing that has crossed the horizon of a black hole ", "comes back", "is ever heavy", ", as far as we know"),
            ("Astronauts float because they are in ", "free fall", "a place without any gravity", ""),
            ("The brightest planet in the evening sky is ", "Venus", "Neptune", ""),
        ),
    ),
    Topic(
        "music",
        (
            "learning the piano as an adult",
            "reading sheet music",
            "why some chords sound sad",
            "buying a first guitar",
            "singing in tune",
        ),
        (
            ("An octave is a ratio of two to ", "one", "seven", " between frequencies"),
            ("A minor third is ", "smaller", "larger", " than a major third"),
            ("Short practice every ", "day", "year", " works better than one long session"),
            ("A guitar has usually ", "six", "nineteen", " strings"),
            ("Pitch rises when a string is made ", "tighter", "looser", ""),
            ("A metronome helps to keep the ", "tempo", "temperature", " steady"),
        ),
    ),
    Topic(
        "health",
        ("a sore back at the desk", "starting to run", "washing hands", "a balanced breakfast", "stretching"),
        (
            ("Soap removes ", "fat and germs", "only colours", " from the skin"),
            ("Beginners should raise their distance ", "gradually", "tenfold every week", ""),
            ("Standing up now and then ", "helps", "harms", " a back that sits all day"),
            ("Fibre keeps you full for ", "longer", "a shorter time", ""),
            ("Muscles grow during ", "rest", "complete starvation", " after training"),
            ("Antibiotics work against ", "bacteria", "viruses", ""),
        ),
    ),
    Topic(
        "travel",
        (
            "packing light",
            "a week in a city without a car",
            "travelling by night train",
            "eating well on the road",
            "travel insurance",
        ),
        (
            ("Rolling clothes instead of folding them saves ", "space", "fuel", ""),
            ("Night trains save the cost of a ", "hotel", "passport", ""),
            ("A day ticket pays off from about ", "three", "ninety", " rides"),
            ("Copies of documents belong in ", "another bag", "the same pocket", " than the originals"),
            ("Flights on a weekday are often ", "cheaper", "dearer", " than on a Friday evening"),
            ("Markets are cheapest shortly before they ", "close", "are built", ""),
        ),
    ),
    Topic(
        "history",
        ("the printing press", "life in ancient Rome", "the industrial revolution", "how writing began", "the silk road"),
        (
            ("Movable type made books much ", "cheaper", "rarer", ""),
            ("Aqueducts carried ", "water", "olive oil only", " into Roman cities"),
            ("Steam engines first pumped water out of ", "mines", "spaceships", ""),
            ("The oldest writing in Mesopotamia kept ", "accounts", "film scripts", ""),
            ("Paper came to Europe from the ", "east", "far west", ""),
            ("The silk road was a ", "network of routes", "single paved street", ""),
        ),
    ),
    Topic(
        "climate",
        (
            "heating a house with less energy",
            "what greenhouse gases do",
            "solar panels",
            "how weather differs from climate",
            "cycling to work",
        ),
        (
            ("Carbon dioxide ", "absorbs", "creates", " infrared radiation"),
            ("Insulating the roof first usually saves ", "the most", "no", " heat"),
            ("Solar panels lose a little power when they get ", "hot", "clean", ""),
            ("Climate is the average of weather over ", "decades", "one afternoon", ""),
            ("A heat pump ", "moves", "burns", " heat that is already there"),
            ("A bicycle needs ", "far less", "far more", " energy for a kilometre than a car"),
        ),
    ),
)

TASKS = (
    "Explain {aspect} {audience}{manner}.",
    "Give {audience_of} some advice on {aspect}{manner}.",
    "What should one know about {aspect}? Answer {audience}{manner}.",
    "Write a short note about {aspect} {audience}{manner}.",
    "A friend asked me about {aspect}. What would you say {audience}{manner}?",
    "Summarise the main points of {aspect} {audience}{manner}.",
    "Name the most common mistakes with {aspect} {audience}{manner}.",
    "I keep reading about {aspect}. Help me to understand it {audience}{manner}.",
    "Compare two views of {aspect} {audience}{manner}.",
)
AUDIENCES = (
    "a ten-year-old",
    "a busy manager",
    "a student",
    "my grandmother",
    "an expert",
    "a sceptical neighbour",
    "a complete beginner",
    "a group of teachers",
    "someone in a hurry",
    "a new colleague",
    "a curious reader",
    "a class of twenty",
)
MANNERS = (
    "",
    ", with an example",
    ", step by step",
    ", without technical terms",
    ", and say what is uncertain",
    ", in a friendly tone",
    ", as precisely as you can",
    ", and keep it practical",
    ", including the usual objections",
    ", and end with one recommendation",
)
OPENERS = (
    ("Look, this is not hard.", "You could have looked that up.", "Seriously, this again?", "Well, obviously."),
    ("", "", "Here is what there is to say.", "In short:"),
    ("Good question.", "Thanks for asking.", "Happy to help.", "Sure, with pleasure."),
    (
        "What a thoughtful question, thank you so much for asking!",
        "It is a real pleasure to help you with this, and I hope that it is of use.",
        "Thank you for your trust; I will gladly do my very best.",
    ),
)
"""By politeness, from rude to warm."""
CLOSERS = (
    ("That is all.", "Do not ask again.", "Whatever."),
    ("", "", ""),
    ("I hope that helps.", "Feel free to ask more."),
    ("Please do ask again whenever you like, and have a wonderful day!", "I wish you the very best of luck with it, kindly."),
)
HEDGES = ("I think that ", "Perhaps ", "As far as I can tell, ", "It may well be that ", "If I remember rightly, ")
BOLD = ("Certainly ", "Without any doubt, ", "It is proven that ", "Everybody knows that ", "The fact is that ")
ASIDES = (
    "This comes up more often than one might think, and it pays to keep it in mind from the start.",
    "Many people notice it only after a while, once they have tried a few things for themselves.",
    "There is a lot more that could be said here, but the main point stays the same.",
    "Take your time with this part, because everything that follows rests on it in one way or another.",
    "It differs a little from case to case, and yet the general picture hardly changes.",
    "If in doubt, start small, look at what happens, and go on from there.",
)
EVASIONS = (
    "I would rather not say anything about that.",
    "There are many opinions on this, and all of them have their merits.",
    "It depends.",
    "I am only a program and cannot know such things.",
)
