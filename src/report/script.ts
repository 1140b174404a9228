/** The few lines of the report's script: a cursor on the figure that reads off eigenvalue and density. */
export const script = `
(() => {
  const svg = document.querySelector('svg.chart'), cursor = svg.querySelector('.cursor'), text = cursor.querySelector('text');
  const a = JSON.parse(svg.dataset.axes);
  const curve = svg.querySelector('.curve').getAttribute('d').slice(1).split(/[LC]/).map((p) => p.split(' ').slice(-2).map(Number));
  const bend = (x) => a.kind === 'linear' ? x : Math.asinh(x / a.knee), back = (u) => a.kind === 'linear' ? u : a.knee * Math.sinh(u);
  const format = (x) => Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? String(+x.toPrecision(4)) : x.toExponential(2);
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const inside = x >= a.left && x <= a.right;
    cursor.setAttribute('visibility', inside ? 'visible' : 'hidden');
    if (!inside) return;
    const lambda = back(bend(a.low) + (x - a.left) / (a.right - a.left) * (bend(a.high) - bend(a.low)));
    const y = curve.reduce((best, p) => Math.abs(p[0] - x) < Math.abs(best[0] - x) ? p : best)[1];
    const density = a.floor * Math.pow(a.top / a.floor, (a.lower - y) / (a.lower - a.upper));
    text.textContent = '\\u03bb = ' + format(lambda) + (y > a.lower ? ', density < ' + format(a.floor) : ', density ' + format(density));
    text.style.textAnchor = x > (a.left + a.right) / 2 ? 'end' : 'start';
    text.setAttribute('x', x > (a.left + a.right) / 2 ? -8 : 8);
    cursor.setAttribute('transform', 'translate(' + x + ' 0)');
  });
  svg.addEventListener('pointerleave', () => cursor.setAttribute('visibility', 'hidden'));
})();
`;
