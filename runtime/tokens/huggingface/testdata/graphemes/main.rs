// Prints, for every class that grapheme clusters depend on, the ranges of its code points, for ../graphemes.json.gz. With the crate
// unicode-segmentation =1.13.3, which the library's normalizer Precompiled cuts texts with.
use unicode_segmentation::UnicodeSegmentation;

fn one(s: String) -> bool {
    s.graphemes(true).count() == 1
}

fn main() {
    let classes: Vec<(&str, Box<dyn Fn(char) -> bool>)> = vec![
        ("extend", Box::new(|c| one(format!("a{c}")))),
        ("control", Box::new(|c| !one(format!("{c}\u{301}")))),
        ("prepend", Box::new(|c| one(format!("{c}a")))),
        ("pictographic", Box::new(|c| one(format!("\u{a9}\u{200d}{c}")) && !one(format!("a{c}")))),
        ("consonant", Box::new(|c| one(format!("\u{915}\u{94d}{c}")) && !one(format!("a{c}")))),
        ("linker", Box::new(|c| one(format!("\u{915}{c}\u{915}")))),
        ("link extend", Box::new(|c| one(format!("\u{915}\u{94d}{c}\u{915}")))),
        ("regional", Box::new(|c| one(format!("\u{1f1e6}{c}")) && !one(format!("a{c}")))),
    ];
    println!("{{");
    for (i, (name, f)) in classes.iter().enumerate() {
        let mut ranges: Vec<(u32, u32)> = vec![];
        for n in 1..0x110000u32 {
            if let Some(c) = char::from_u32(n) {
                if f(c) {
                    match ranges.last_mut() {
                        Some(r) if r.1 + 1 == n => r.1 = n,
                        _ => ranges.push((n, n)),
                    }
                }
            }
        }
        let list: Vec<String> = ranges.iter().map(|r| format!("[{},{}]", r.0, r.1)).collect();
        println!("\"{}\":[{}]{}", name, list.join(","), if i + 1 < classes.len() { "," } else { "" });
    }
    println!("}}");
}
