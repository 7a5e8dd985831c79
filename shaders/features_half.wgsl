// Storage of activations and slopes in float16 (relative rounding 2⁻¹¹), at half the memory and
// traffic. Arithmetic stays in float32.

alias Feature = vec2<u32>;

fn load_feature(index: u32) -> vec4<f32> {
    let packed = features[index];
    return vec4<f32>(unpack2x16float(packed.x), unpack2x16float(packed.y));
}

fn store_feature(index: u32, value: vec4<f32>) {
    features[index] = vec2<u32>(pack2x16float(value.xy), pack2x16float(value.zw));
}
