// A text adventure that you play by writing to it. Ordinary Rust: println! is its log, the standard library's own
// maps and strings are its state, and a game that was begun on one host is finished on another.
use std::cell::RefCell;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher};

#[link(wasm_import_module = "igor")]
extern "C" {
    fn inbox_next(text: *mut u8, capacity: usize) -> i32;
    fn view_show(kind: i32, bytes: *const u8, length: usize, width: i32, height: i32) -> i32;
}

/// As long as a message can be: a longer one than there is room for would stay, and those behind it wait for ever.
const MAX_TEXT: usize = 65536;
/// Steps that the lamp has oil for.
const OIL: u32 = 30;
/// Ticks after which the bat flies on.
const BAT_EVERY: u32 = 20;

struct Room {
    name: &'static str,
    text: &'static str,
    dark: bool,
    exits: &'static [(&'static str, usize)],
}

const GATE: usize = 0;
const WELL: usize = 4;
const VAULT: usize = 7;

const ROOMS: [Room; 8] = [
    Room { name: "the gate", text: "Grass, wind, and a hole in the hill.", dark: false, exits: &[("north", 1), ("east", 2)] },
    Room { name: "the hall", text: "Drops fall from somewhere high.", dark: true, exits: &[("south", 0), ("north", 3), ("west", 5)] },
    Room { name: "the hut", text: "A table, a stove gone cold.", dark: false, exits: &[("west", 0)] },
    Room { name: "the gallery", text: "Someone drew horses on the wall.", dark: true, exits: &[("south", 1), ("east", 4)] },
    Room { name: "the well", text: "A shaft goes down. Without a rope nobody does.", dark: true, exits: &[("west", 3), ("down", 6)] },
    Room { name: "the nest", text: "It smells of bats.", dark: true, exits: &[("east", 1)] },
    Room { name: "the lake", text: "Black water without a sound. An iron door.", dark: true, exits: &[("up", 4), ("north", 7)] },
    Room { name: "the vault", text: "Dust, and shelves that were emptied long ago.", dark: true, exits: &[("south", 6)] },
];

struct Game {
    here: usize,
    oil: u32,
    steps: u32,
    bat: usize,
    ticks: u32,
    over: bool,
    carried: BTreeSet<&'static str>,
    /// Where what lies about lies.
    lying: BTreeMap<&'static str, usize>,
}

thread_local! {
    static GAME: RefCell<Game> = RefCell::new(Game::new());
}

/// The standard library seeds its hash maps from WASI's `random_get`: here, from the tick's randomness.
fn random(below: usize) -> usize {
    (RandomState::new().build_hasher().finish() % below as u64) as usize
}

fn direction(word: &str) -> Option<&'static str> {
    Some(match word {
        "n" | "north" | "key:ArrowUp" => "north",
        "s" | "south" | "key:ArrowDown" => "south",
        "e" | "east" | "key:ArrowRight" => "east",
        "w" | "west" | "key:ArrowLeft" => "west",
        "u" | "up" => "up",
        "d" | "down" => "down",
        _ => return None,
    })
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.collect();
    if words.is_empty() { "nothing".to_string() } else { words.join(", ") }
}

impl Game {
    fn new() -> Game {
        let lying = BTreeMap::from([("lamp", 2), ("rope", 5), ("key", 3), ("oil", 6), ("crown", VAULT)]);
        Game { here: GATE, oil: OIL, steps: 0, bat: 5, ticks: 0, over: false, carried: BTreeSet::new(), lying }
    }

    fn sees(&self) -> bool {
        !ROOMS[self.here].dark || (self.carried.contains("lamp") && self.oil > 0)
    }

    fn walk(&mut self, way: &'static str) -> String {
        let Some(&(_, to)) = ROOMS[self.here].exits.iter().find(|(name, _)| *name == way) else {
            return format!("no way {way} from here");
        };
        if to == 6 && self.here == WELL && !self.carried.contains("rope") {
            return "too deep to jump: a rope would do".to_string();
        }
        if to == VAULT && !self.carried.contains("key") {
            return "the iron door is locked".to_string();
        }
        self.here = to;
        self.steps += 1;
        if ROOMS[to].dark && self.carried.contains("lamp") && self.oil > 0 {
            self.oil -= 1;
            if self.oil == 0 {
                return "the lamp goes out".to_string();
            }
        }
        if to == GATE && self.carried.contains("crown") {
            self.over = true;
            return format!("you hold the crown up to the sun: done, in {} steps. Write “again” to play again", self.steps);
        }
        format!("you are at {}", ROOMS[to].name)
    }

    fn take(&mut self, what: &str) -> String {
        let found = self.lying.iter().find(|(name, at)| **name == what && **at == self.here).map(|(name, _)| *name);
        match found {
            _ if !self.sees() => "too dark to find anything".to_string(),
            None => format!("there is no {what} here"),
            Some("oil") => {
                self.lying.remove("oil");
                self.oil = OIL;
                "the lamp is full again".to_string()
            }
            Some(name) => {
                self.lying.remove(name);
                self.carried.insert(name);
                format!("you take the {name}")
            }
        }
    }

    fn put(&mut self, what: &str) -> String {
        match self.carried.take(what) {
            None => format!("you have no {what}"),
            Some(name) => {
                self.lying.insert(name, self.here);
                format!("you leave the {name} at {}", ROOMS[self.here].name)
            }
        }
    }

    fn answer(&mut self, text: &str) -> Option<String> {
        let lower = if text.starts_with("key:") { text.to_string() } else { text.trim().to_lowercase() };
        let words: Vec<&str> = lower.split_whitespace().collect();
        if words == ["again"] {
            *self = Game::new();
            return Some("you stand at the gate once more".to_string());
        }
        if self.over {
            return Some("it is done. Write “again” to play again".to_string());
        }
        Some(match words[..] {
            ["take", what] | ["take", "the", what] => self.take(what),
            ["drop", what] | ["drop", "the", what] => self.put(what),
            ["go", way] | [way] if direction(way).is_some() => self.walk(direction(way)?),
            ["look"] => ROOMS[self.here].text.to_string(),
            // Other keys are the page's affair.
            [key] if key.starts_with("key:") => return None,
            _ => "words that work: look, north (n), south …, take lamp, drop lamp, again".to_string(),
        })
    }

    /// A bat lives here. It takes what it finds lying, and loses it elsewhere.
    fn fly(&mut self) {
        self.ticks += 1;
        if self.over || self.ticks % BAT_EVERY != 0 {
            return;
        }
        let from = self.bat;
        let exits: Vec<usize> = ROOMS[from].exits.iter().map(|(_, to)| *to).filter(|to| *to != VAULT && ROOMS[*to].dark).collect();
        let Some(&to) = exits.get(random(exits.len().max(1))) else { return };
        self.bat = to;
        let loot = self.lying.iter().find(|(name, at)| **at == from && **name != "rope").map(|(name, _)| *name);
        if let Some(name) = loot {
            self.lying.insert(name, to);
        }
        if to == self.here {
            println!("a bat flutters in");
        } else if from == self.here {
            println!("the bat flies off");
        }
    }

    fn picture(&self) -> String {
        let room = &ROOMS[self.here];
        let sees = self.sees();
        let things = self.lying.iter().filter(|(_, at)| **at == self.here).map(|(name, _)| *name);
        let mut lines = vec![room.name.to_uppercase(), String::new()];
        lines.push(if sees { room.text.to_string() } else { "It is dark. There was a lamp somewhere.".to_string() });
        lines.push(format!("ways: {}", list(room.exits.iter().map(|(name, _)| *name))));
        if sees {
            lines.push(format!("here: {}", list(things)));
        }
        if self.bat == self.here {
            lines.push("a bat hangs from the ceiling".to_string());
        }
        lines.push(String::new());
        lines.push(format!("you have: {}", list(self.carried.iter().copied())));
        lines.push(format!("steps: {}, oil: {}", self.steps, self.oil));
        lines.join("\n")
    }
}

fn next_message() -> Option<String> {
    let mut text = Vec::with_capacity(MAX_TEXT);
    let length = unsafe { inbox_next(text.as_mut_ptr(), MAX_TEXT) };
    unsafe { text.set_len(usize::try_from(length).unwrap_or(0)) };
    if text.is_empty() { None } else { Some(String::from_utf8_lossy(&text).into_owned()) }
}

#[no_mangle]
pub extern "C" fn agent_init() {
    println!("there is said to be a crown in the hill. Write “look”");
}

#[no_mangle]
pub extern "C" fn agent_tick() -> i32 {
    GAME.with_borrow_mut(|game| {
        while let Some(text) = next_message() {
            if let Some(answer) = game.answer(&text) {
                println!("{answer}");
            }
        }
        game.fly();
        let picture = game.picture();
        unsafe { view_show(0, picture.as_ptr(), picture.len(), 0, 0) };
    });
    0
}
