//! Owns the guess which tensors are a model's head: what is put on a backbone for one task. A guess by names, and where they
//! say nothing, the last tensor.

use super::tensor::Tensor;

/// Parts of names that heads have.
const WORDS: [&str; 14] = [
    "head",
    "heads",
    "classifier",
    "classif",
    "fc",
    "lm",
    "logits",
    "logit",
    "prediction",
    "predictions",
    "score",
    "cls",
    "softmax",
    "output",
];
/// Parts of names that show that the head of an attention is meant, or a head's word means something else.
const OTHER: [&str; 8] = ["attention", "attn", "multi", "multihead", "encoder", "layer", "layers", "block"];

/// Whether each tensor belongs to the head. Matrices do, with a code or too small for one; at most two, or a fifth of them: else
/// the names mean something else, and only the last one with a code does.
pub(super) fn heads(items: &[Tensor]) -> Vec<bool> {
    let matrices = items.iter().filter(|item| item.is_matrix()).count();
    let named: Vec<bool> = items.iter().map(|item| item.is_matrix() && is_named_head(&item.name)).collect();
    let count = named.iter().filter(|&&head| head).count();
    if (1..=(matrices / 5).max(2)).contains(&count) {
        return named;
    }
    let last = items.iter().rposition(Tensor::has_code);
    (0..items.len()).map(|number| Some(number) == last).collect()
}

fn is_named_head(name: &str) -> bool {
    let name = name.to_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    let word =
        |list: &[&str], word: &str| list.contains(&word.trim_end_matches(|c: char| c.is_ascii_digit()));
    let is_head = words.clone().any(|part| word(&WORDS, part));
    is_head && !words.any(|part| word(&OTHER, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_told_by_name_and_heads_of_attention_are_not() {
        for name in
            ["fc.weight", "model.lm_head.weight", "classifier.1.weight", "Logits/kernel", "head/dense_1"]
        {
            assert!(is_named_head(name), "{name}");
        }
        for name in
            ["layer4.2.conv2.weight", "h.0.attn.heads.weight", "encoder.layer.3.output.dense", "multi_head/w"]
        {
            assert!(!is_named_head(name), "{name}");
        }
    }
}
