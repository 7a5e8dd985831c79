// Storage of activations and slopes in float32.

alias Feature = vec4<f32>;

fn load_feature(index: u32) -> vec4<f32> {
    return features[index];
}

fn store_feature(index: u32, value: vec4<f32>) {
    features[index] = value;
}
