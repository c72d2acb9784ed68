"""The word lists the dialogues draw from.

Owns plain lists only. How a word is drawn, and which words are kept back from training, is models.draw's.
"""

from typing import Final


def words(text: str) -> tuple[str, ...]:
    """Split a text into its words."""
    return tuple(text.split())


def phrases(text: str) -> tuple[str, ...]:
    """Split a text at its commas; a line's end counts as a space."""
    return tuple(" ".join(part.split()) for part in text.split(","))


FIRST_NAMES: Final = words(
    """
    Ada Adam Agnes Aisha Alan Albert Alex Alice Amara Amir Amy Ana Andrew Anna Anton Arthur Astrid Axel Bea Ben
    Bella Bianca Bill Bob Boris Bruno Carla Carlos Carmen Cecil Chen Chiara Chloe Chris Clara Cora Dana
    Daniel Daria David Diego Dina Dmitri Dora Edgar Edith Elena Eli Elif Ella Elliot Elsa Emil Emma Eric Erik Esme
    Esther Eva Evan Ezra Farah Fatima Felix Fiona Flora Frank Freya Gabriel George Gina Grace Greta Gus Hana Hans
    Harry Hassan Heidi Helen Henry Hilda Hugo Ian Ibrahim Ida Igor Ines Ingrid Irene Iris Isaac Ivan Ivy Jack
    Jakob James Jan Jana Jane Jasper Jim Joan Joel John Jonas Jose Josie Juan Judy Julia June Kai Karim Karl Kate
    Kenji Kim Kira Klaus Kofi Lara Lars Laura Lea Leila Lena Leo Leon Lily Lin Linda Lisa Liv Lola Louis Luca Lucy
    Luis Luna Maja Marco Maria Marie Mark Marta Martin Mary Mateo Matt Max Maya Mei Mia Mike Mila Milo Mina Mira
    Mona Nadia Nasim Nat Ned Nell Nico Nils Nina Noah Noor Nora Olaf Oleg Olga Olive Oliver Omar Oscar Otto Pablo
    Paul Paula Pedro Penny Peter Petra Phil Pia Piet Polly Priya Quinn Rana Raj Ravi Rita Robin Rosa Rose Rosie
    Ruth Sam Sara Selma Sergei Sid Simon Sofia Sonja Stan Stella Sven Tara Ted Tess Theo Thomas Tim Tina Toby Tom
    Tova Uma Ursula Vera Victor Vince Viola Walter Wanda Wendy Will Xenia Yara Yuki Yusuf Zara Zeno Zoe
    """
)

ADJECTIVES: Final = words(
    """
    absent-minded adventurous ambitious ancient anxious arrogant artistic bashful bitter blunt boastful bold bored
    brave bright brilliant bubbly busy calm careful careless caring cautious charming chatty cheeky cheerful chubby
    clever clumsy cold confident confused cool cowardly cranky crazy creative cruel cunning curious cynical dainty
    dapper daring dashing dazzling delightful determined devious dignified direct disciplined dramatic dreamy dry
    dull eager earnest eccentric elderly elegant eloquent energetic enthusiastic evil excited fancy fearless fierce
    fiery flamboyant foolish forgetful formal frank friendly frugal funny fussy gentle giddy gifted gloomy goofy
    graceful grand greedy grouchy gruff grumpy gullible happy hardworking harsh haughty helpful heroic honest hopeful
    humble hungry hyper imaginative impatient impish impulsive ingenious innocent inventive jaded jealous jolly
    jovial joyful keen kind lanky lazy legendary lively lonely loud lovable loyal lucky mad magical mean
    melancholic mellow merciful merry messy mighty mischievous modest moody mysterious naive nervous nice nimble
    nosy noble observant odd old optimistic ordinary outgoing paranoid passionate patient peaceful peculiar
    pensive pessimistic playful plucky poetic polite pompous posh practical precise proud punctual quick quiet
    quirky radiant rebellious reckless relaxed reliable reserved restless retired romantic rude sad sarcastic
    sassy scary scruffy secretive sensible sensitive serene serious sharp shy silent silly sincere skilled sleepy
    sleek sly small smart sneaky snobbish sober sociable solemn spirited spooky stern stoic strange strict strong
    stubborn stylish suave sullen sunny superstitious suspicious sweet swift talented talkative tall tense
    thoughtful tidy timid tiny tired tough tricky trusty unlucky upbeat vain valiant vibrant vigilant wacky warm
    wary weary weird whimsical wicked wild wise wistful witty worried young youthful zany zealous
    """
)

ROLES: Final = phrases(
    """
    accountant, acrobat, actor, admiral, airline pilot, alchemist, alien, android, apprentice, archaeologist,
    archer, architect, art critic, assassin, assistant, astronaut, astronomer, athlete, baker, ballet dancer,
    banker, barber, bard, barista, bartender, beekeeper, bell ringer, biologist, bird watcher, blacksmith,
    boat builder, bookseller, botanist, bounty hunter, bus driver, butcher, butler, camel driver,
    candle maker, captain, carpenter, cartographer, cat, chef, chemist, chess master, circus clown,
    clockmaker, coach, cobbler, coder, comedian, composer, cook, cowboy, crab fisher, curator, dancer,
    deep sea diver, dentist, designer, detective, diplomat, doctor, dog, dog walker, dragon, dragon tamer,
    drummer, druid, duchess, duke, dwarf, editor, electrician, elf, emperor, engineer, explorer, fairy,
    falconer, farmer, ferry captain, firefighter, fisherman, florist, forest ranger, fortune teller, fox,
    gardener, gatekeeper, general, geologist, ghost, ghost hunter, giant, glassblower, gnome, goat herder,
    goblin, goldsmith, golem, grandmother, grocer, guard, guide, guitarist, hairdresser, harbour master,
    hermit, historian, horse trainer, hotel manager, hunter, ice cream seller, illusionist, innkeeper,
    inventor, jester, jeweller, judge, juggler, kindergarten teacher, king, knight, lawyer, librarian,
    lifeguard, lighthouse keeper, linguist, locksmith, lumberjack, magician, mail carrier, mathematician,
    mayor, mechanic, merchant, mermaid, messenger, milkman, miller, miner, monk, mountain guide, museum guide,
    musician, ninja, novelist, nun, nurse, ocean explorer, octopus, oracle, organist, owl, painter,
    park ranger, parrot, pastry chef, penguin, pharmacist, philosopher, photographer, physicist, pianist,
    pilot, pirate, planner, plumber, poet, police officer, potter, priest, prince, princess, printer,
    professor, programmer, puppeteer, queen, rabbit, radio host, ranger, recruiter, referee, reporter, robot,
    rock star, sailor, salesman, samurai, scholar, scientist, sculptor, sea captain, secretary, shepherd,
    sheriff, shoemaker, singer, sky pirate, smith, soldier, songwriter, sorcerer, space captain, spy, squire,
    stage magician, stationmaster, storyteller, street musician, student, sun priest, surfer, surgeon,
    swordsmith, tailor, tavern keeper, taxi driver, teacher, tea master, thief, toymaker, train conductor,
    translator, traveller, treasure hunter, troll, truck driver, tutor, unicorn, vampire, veterinarian,
    viking, village elder, violinist, volcano expert, waiter, wanderer, warrior, watchmaker, weaver, werewolf,
    whale watcher, wine maker, witch, wizard, wolf, woodcutter, writer, yoga teacher, zookeeper
    """
)

COLOURS: Final = words(
    """
    amber beige black blue bronze brown crimson cyan emerald gold gray green grey indigo ivory khaki lavender lilac
    lime magenta maroon mauve mint navy ochre olive orange peach pink plum purple red rose ruby salmon scarlet silver
    tan teal turquoise violet white yellow
    """
)

FOODS: Final = words(
    """
    apples bananas beans biscuits bread broccoli burgers burritos cabbage cake carrots cereal cheese cherries chicken
    chips chocolate cookies couscous crisps curry dumplings eggs falafel fish fries goulash grapes gnocchi honey hummus
    icecream kebab kimchi lasagna lentils mango muffins mushrooms noodles nuts omelette onions pancakes pasta peaches
    pears pickles pie pizza plums popcorn porridge potatoes pudding ramen ravioli rice risotto salad salmon sandwiches
    sausages soup spaghetti spinach steak stew sushi tacos toast tofu tomatoes tuna waffles yoghurt
    """
)

DRINKS: Final = words(
    "beer chai cider cocoa coffee cola espresso juice kefir lemonade lassi milk mocha smoothies tea water wine"
)

PETS: Final = words(
    """
    bird budgie canary cat chicken chinchilla cow crab dog donkey duck ferret fish frog gecko goat goldfish goose
    guinea-pig hamster hedgehog hen horse iguana kitten lizard llama mouse newt parrot pig pigeon pony puppy rabbit
    rat rooster sheep snail snake spider tortoise turtle
    """
)

ANIMALS: Final = (
    *PETS,
    *words(
        """
        alpaca ant badger bat bear beaver bee bison buffalo butterfly camel cheetah cobra crocodile crow deer dolphin
        dragonfly eagle elephant elk falcon flamingo fox giraffe gorilla hawk hippo hyena jaguar kangaroo koala leopard
        lion lobster lynx meerkat mole monkey moose octopus orca ostrich otter owl panda panther peacock penguin puma
        raccoon raven reindeer rhino salamander seal shark sloth squirrel stork swan tiger toad walrus whale wolf wombat
        zebra
        """
    ),
)

TOWNS: Final = words(
    """
    Accra Amsterdam Athens Auckland Austin Baghdad Bangkok Barcelona Beijing Belfast Belgrade Berlin Bern Bogota Boston
    Bremen Bristol Brussels Budapest Cairo Calgary Cardiff Chicago Cologne Copenhagen Cork Dakar Dallas Delhi Denver
    Dhaka Dresden Dublin Edinburgh Florence Geneva Genoa Ghent Glasgow Graz Hamburg Hanoi Havana Helsinki Houston
    Istanbul Jakarta Kyiv Kyoto Lagos Leeds Leipzig Lima Lisbon Liverpool London Lyon Madrid Malaga Manchester Manila
    Melbourne Miami Milan Montreal Munich Nairobi Naples Osaka Oslo Ottawa Oxford Paris Perth Porto Prague Quito Riga
    Rome Salzburg Santiago Seattle Seoul Seville Sofia Stockholm Sydney Tallinn Tokyo Toronto Toulouse Trieste Tunis
    Turin Utrecht Vienna Vilnius Warsaw Wellington York Zagreb Zurich
    """
)

HOBBIES: Final = words(
    """
    archery badminton baking basketball boxing chess climbing cooking cricket cycling dancing diving drawing drumming
    fencing fishing football gaming gardening golf hiking hockey judo juggling knitting origami painting photography
    poetry pottery programming reading riding rowing rugby running sailing sewing singing skating skiing sudoku surfing
    swimming tennis travelling volleyball walking wrestling writing yoga
    """
)

MONTHS: Final = words("January February March April May June July August September October November December")
DAYS: Final = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")

RELATIVES: Final = words(
    """
    aunt friend boss boyfriend brother colleague cousin daughter father girlfriend grandfather grandmother
    husband mother neighbour partner roommate sister son teacher uncle wife
    """
)

FAVOURITES: Final = words(
    """
    band book bird city cheese country dessert dish dinosaur flower film fruit game hero holiday instrument language
    letter meal movie painter planet plant season series shape show singer smell snack song sound sport subject team
    thing toy tree vegetable weather word writer
    """
)

WORDS: Final = words(
    """
    anchor apple arrow autumn banana basket beach bell blanket boat bottle bridge bucket button candle castle chair
    cherry circle cloud coin corner cotton cradle crystal curtain daisy desert diamond door dream drum dust eagle earth
    echo engine evening fabric feather field finger fire flag flame flower forest fork fountain frost garden ghost
    glass glove grass hammer harbour hat hill honey horizon house ice island jacket jungle kettle key kingdom kite
    ladder lake lamp leaf lemon letter light lion map marble meadow melon mirror moon morning mountain needle nest night
    ocean olive orange oven paper path pearl pebble pencil pepper piano pillow planet pocket pond puddle puzzle quilt
    rain rainbow ribbon ring river road robot rocket roof rope rose saddle sail sand school sea shadow shell shield
    ship shoe silk sky snow soap spoon spring star stone storm story stream street sugar summer sun table temple
    thunder ticket tiger tower train tree tulip tunnel umbrella valley velvet village violin wagon wall water wave
    wheel whisper wind window winter wood wool world yard
    """
)

VERBS: Final = words(
    """
    bakes brings builds buys calls carries catches chases cleans cooks draws drinks eats feeds finds follows hears
    helps hides holds keeps kicks knows likes loves makes meets needs opens paints reads rides sees sells sends sings
    takes throws visits wants washes watches writes
    """
)

EMOJI: Final = words(
    "😀 😂 😊 😍 😎 😢 😡 😴 🤔 🙄 👍 👎 👋 🙏 💪 👀 ❤ 💔 🔥 ⭐ ✨ 🎉 🎁 🎂 🌍 🌈 🌧 🌙 🌊 🌲 🌹 🍎 🍕 🍰 🐱 🐶 🐸 🦊 🐙"
    " 🚀 🚗 🏠 💡 📚 🎵 ⚽ ✅ ❌ é ü ñ ß ø ç ж я 中 日 あ ا"
)
"""Symbols and letters beyond the keyboard, most of them written in bytes by the vocabulary."""
