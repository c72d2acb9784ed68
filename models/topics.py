"""What questions beyond the model's world are about.

Owns plain lists only; models.requests' patterns take their words from here.
"""

from typing import Final

from models.words import phrases, words

TOPICS: Final = phrases(
    """
    algebra, anatomy, art, artificial intelligence, asthma, astronomy, atoms, bacteria, ballet, banking,
    batteries, beer, biology, bitcoin, black holes, blockchain, blood pressure, bread, buddhism, calculus,
    cancer, capitalism, cars, cheese, chemistry, chess openings, christmas, climate change, cloud computing,
    coding, coffee, cold fusion, colours, comets, communism, compilers, computers, cooking, crime,
    cryptography, dancing, data science, databases, death, debugging, democracy, dentistry, diabetes,
    dinosaurs, diplomacy, DNA, docker, dreams, driving, earthquakes, economics, education, electricity,
    elections, electrons, energy, engines, entropy, ethics, evolution, fashion, feminism, film, finance,
    fishing, fitness, flu, football, fractions, freedom, friendship, galaxies, gardening, genetics, geography,
    geometry, germs, git, god, gold, grammar, gravity, guitars, health, heart attacks, hinduism, history,
    human rights, hurricanes, inflation, insects, insurance, investing, islam, javascript, jazz, judaism,
    justice, kubernetes, lasers, law, leadership, linux, literature, logic, love, machine learning, magnets,
    malaria, management, marketing, marriage, mars, mathematics, medicine, metals, migraine, money, mortgages,
    mountains, movies, music, mythology, neurons, nuclear power, numbers, nutrition, oceans, oil, opera,
    optics, painting, paper, parliament, philosophy, photography, physics, planets, plastic, plumbing, poetry,
    politics, pollution, prime numbers, printing, probability, protons, psychology, python, quantum mechanics,
    rain, recipes, regular expressions, relationships, relativity, religion, renaissance art, revolutions,
    robots, rockets, rust, satellites, school, science, sharks, shopping, sleep, soccer, society, software,
    solar power, sound, space, sports, sql, stars, statistics, stocks, stress, submarines, swimming, taxes,
    tea, teeth, tennis, the big bang, the brain, the cold war, the constitution, the economy, the election,
    the French revolution, the future, the heart, the industrial revolution, the internet, the law of gravity,
    the liver, the meaning of life, the middle ages, the moon, the periodic table, the pyramids,
    the Roman empire, the second world war, the stock market, the universe, thermodynamics, time travel,
    tornadoes, trains, travel, trees, trigonometry, typescript, unemployment, vaccines, vitamins, volcanoes,
    war, water, wealth, weather, whales, wine, world peace, yoga, zoology
    """
)
"""Fields, things and ideas people ask about."""

COUNTRIES: Final = words(
    """
    Albania Algeria Argentina Australia Austria Belgium Bolivia Brazil Bulgaria Canada Chad Chile China
    Colombia Croatia Cuba Denmark Ecuador Egypt Estonia Ethiopia Finland France Germany Ghana Greece Hungary
    Iceland India Indonesia Iran Iraq Ireland Israel Italy Japan Jordan Kenya Latvia Libya Malta Mexico
    Mongolia Morocco Nepal Nigeria Norway Peru Poland Portugal Romania Russia Serbia Spain Sudan Sweden
    Thailand Tunisia Turkey Uganda Ukraine Vietnam Zambia
    """
)
"""Countries with names of one word."""

LANGUAGES: Final = words(
    """
    Arabic Basque Bengali Chinese Czech Danish Dutch Finnish French German Greek Hebrew Hindi Hungarian
    Icelandic Italian Japanese Korean Latin Norwegian Polish Portuguese Romanian Russian Spanish Swahili
    Swedish Turkish Welsh Zulu
    """
)
"""Languages to translate to."""

PEOPLE: Final = phrases(
    """
    Albert Einstein, Isaac Newton, Marie Curie, Napoleon, Julius Caesar, Cleopatra, Shakespeare, Mozart,
    Beethoven, Bach, Leonardo da Vinci, Picasso, Van Gogh, Galileo, Darwin, Plato, Aristotle, Socrates,
    Gandhi, Nelson Mandela, Churchill, Lincoln, George Washington, Columbus, Marco Polo, Alan Turing,
    Ada Lovelace, Tesla, Edison, Homer, Dante, Goethe, Confucius, Buddha, Freud, Kant, Marx, Joan of Arc,
    Queen Victoria, Genghis Khan, the president, the prime minister, the king of England, the pope,
    the first man on the moon, Taylor Swift, Elvis, the Beatles, Batman, Superman, Zeus
    """
)
"""People everybody has heard of."""

CODE: Final = words(
    """
    Python JavaScript Java C C++ Rust Go Ruby PHP SQL HTML CSS Haskell Kotlin Swift Perl Lua bash TypeScript
    Scala
    """
)
"""Programming languages."""

ACTIONS: Final = words(
    """
    bake fix build cook clean repair make sell buy grow draw paint learn write plant install remove open cut
    wash train tie fold brew design program sharpen polish invest measure carry feed catch ride drive
    """
)
"""What people ask how to do."""

PAST: Final = words(
    """
    bought found lost saw made cleaned painted cooked watched read sold broke built visited washed opened
    planted fixed carried ate drew wrote heard met met played finished started forgot took brought caught
    """
)
"""What people tell they did."""

TIMES: Final = phrases(
    """
    yesterday, today, this morning, last week, last night, on Sunday, a while ago, again, with a friend,
    at school, at work, in the garden, in town, last summer, after lunch, just now
    """
)
"""When they did it."""
