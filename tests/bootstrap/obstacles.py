"""Source that is hard to minify: name -> text, which runs without an error."""

from __future__ import annotations

import sys

OBSTACLES = {
    # The text as such.
    "empty": "",
    "only comments": "# one\n\n  # two",
    "no newline at the end": "x = 1",
    "blank last line": "x = 1\n   ",
    "comment at the end": "if 1:\n  x = 1\n  # comment",
    "docstring at the end": "def f():\n\t'doc'  # comment",
    "coding cookie": "#!/usr/bin/python\n# -*- coding: latin-1 -*-\nx = 'ä'\n",
    "byte order mark": "\ufeffx = 1\ny = x\n",
    "CR LF": "def f(a):\r\n    '''doc\r\n    '''\r\n    return a\r\nx = f(1)\r\ny = '''a\r\nb'''\r\n",
    "CR": "def f(a):\r    # c\r    return a\rx = f('''a\rb''')\r",
    "tabs": "if 1:\n\tif 1:\n\t\tx = 1\n\n\ty = 2\nif 1:\n        z = 3\n",
    "form feeds": "x = 1\n\f\ndef f():\n    return 1\n\f    \ny\f=\ff()\n",
    "columns behind other letters": """
a = 'ä€😀'; b : 'ü' = 'é'; 'ö'; c : int = 2
def f ( ä : 'ü' = 'ö' , 数 : int = 1 ) -> 'é' : 'ü'; return ä
x = f()
""",
    # Lines.
    "odd indentation": """
if 1:
       x = [
  1,
        2]
       if x:
        y = 2
else:
  y = 3
""",
    "brackets": """
x = {
    'a': [1,
          # comment
          2],

    'b': (
        3
    ),
}
""",
    "backslashes": r"""
x = 1 + \
    2 \
\
    + 3; y = x \
    if x else \
 5
assert x, \
    'm'
""",
    "leading backslash": r"""
if 1:
    \
    x = 1
\

y = 2
""",
    "backslash in brackets": "x = (1 + \\\n     2)\n",
    "backslash in string": "x = 'a\\\n    b'\ny = 1\n",
    "semicolons": """
'doc'; x = 1; 'more';
if x: 'a'; y = 2; 'b'
if x: 'a'; 'b';
def f(): 'doc'; return 1;
z = f() ;
""",
    # Strings.
    "multi-line strings": """
x = '''a
      b # no comment

  c'''  # comment
y = '''\\
   d
'''; z = 1
""",
    "string prefixes": r"""
x = r'\d' R"\s" u'a' '\x41'; y = b'a' rb'\n' Rb'\r' bR'#'; z = f'' rf'\{1}' Fr'\s'
""",
    "implicit concatenation": """
a = "" "b" 'c' "" '' "d"  "" ""
b = ("x"  # comment
     'y'

     f"{a}" "z")
c = "" '"' "'" ''
d = '' 'x' + "" "" + r"" "y"
""",
    "strings and words": """
x = "a" if "b" in "abc" else "d"
y = [c for c in "ab" if c not in"b"or "c"<c]
""",
    "strings that stand alone": """
def f():
    'one'
    'two'
class A: 'doc'
for x in 1, 2: '''a
b'''
else: 'c'
try: 'd'
except OSError:
    'e'
finally:
    'f'
y = f(), f.__doc__ if f.__doc__ != 'one' else None
""",
    "f-strings": """
w, p, s = 10, 3, "v"
a = f"{s!r:>{w}}|{3.14159:{w}.{p}}|{ {1: 2}[1] }|{{no}}|{s  =  }|{s = !s}|{ w  : >5}"
b = f'{ s if s else "#" } {(lambda x: x + 1)(1)} {w:#x}' if 0 else f'''{
s
  }
  {w: >5}'''
c = rf'\\{s}' f"{'a' 'b'}" '{ x : y }'  # comment
d = (f"{s}"   f"  {s}"
     f"ä{s}ö"   "ü") + f"é" + s
""",
    # Neighbours.
    "numbers": """
a = 1 if 1 else 2; b = [0x1f or 2, 1. if 1 else 0, 1.5 .real, 1 .real, 1..real, 1_0, 0xf .real]
c = 1. .real; d = 1j .imag if 0 else .5; e = 1 and 0b1 or 0o7 in [1e5, 1e-5, 1E+5 ]
""",
    "operators": """
x = 5; a = - -x; b = x - - x; c = ~ - + x; d = x < - x; e = x ** - 1; f = not - x; g = x // 2 % 3
x += - 1; x >>= 1; h = x if x else - x; i = x is not None is not False; j = 1 != 2
def s(* a, ** k): return a, k
k = s(* [1, 2], ** {'a': 1}, b = 2); * l, m = 1, 2; n = {* l, * [3]}; o = l [ - 1 : ]
""",
    "attributes": """
import os . path as p, sys
x = p . sep . join ( [ 'a' ] ) . upper ( ) [ : 1 ]
y = 'a' . upper ()
z = [ ... , .5 ]
""",
    "relative import": """
__package__ = 'no_such_package'
try:
    from . . . import x
    from .  a . b import ( c ,
        d as e )
except ImportError:
    x = ...
""",
    "slices and colons": """
a = list(range(9)); b = a[ 1 : 5 : 2 ], a[ : ], a[ :: 2 ], a[ (lambda: 0)() : ]
c = { 'a' : 1, 'b' : lambda x, y = { 1 : 2 } : y [ x ] }['b'](1); d = lambda * a, b = 1 : (a, b)
e = d ( 1 ); n : 'x' = a [ 1 : 2 ]; m : int = { 1 : 2 } [ 1 ]
""",
    "identifiers": "ä = 1; ªb = 2; a·b = 3; ℘x = 4; x℘ = 5; 数 = ä if ℘x else ªb\ny = {a·b: ℘x, 'ü': x℘}; ﬁ: int = 6\n",
    # Variables.
    "closures": """
def counter ( start ) :
    total = start ; step = 2
    def add ( e = step ) :
        nonlocal total
        partial = total + e
        total = partial
        return [ partial + inner * step for inner in range ( e ) ]
    class Inner :
        size = step + 1
        def get ( self ) : return self . size , total
    return add , lambda : ( total , step ) , Inner
add , get , Inner = counter ( 1 )
x = add ( ) , get ( ) , Inner ( ) . get ( ) , Inner . size
""",
    "names in reach": """
e = 10 ; t = 20
def f ( ) :
    first = 1 ; second = 2
    def g ( a , o = e ) :
        third = first + a + o
        return third , t
    return g ( second ) , e , [ t for first in ( second , ) for t in ( first , e ) ]
x = f ( )
""",
    "variables by name": """
def f ( ) :
    first = 1
    second = sorted ( locals ( ) )
    return second , eval ( 'first' ) , [ each for each in dir ( ) ]
def g ( ) :
    first = second = 1
    exec ( 'second = first' )
    return "%(first)d" % vars ( )
def h ( first , * rest , key = 1 , ** options ) :
    result = first , rest , key , options
    return result
x = f ( ) , g ( ) , h ( first = 1 , last = 2 ) , h ( 1 , 2 , key = 3 )
""",
    "exceptions": """
def f ( ) :
    error = None
    try : 1 / 0
    except ( ZeroDivisionError , ) as error : text = str ( error )
    try : error
    except NameError as unbound : kind = type ( unbound )
    return text , kind
x = f ( )
""",
    "nested comprehensions": """
def f ( values ) :
    outer = 1
    return [ ( inner , [ outer + deep for deep in range ( inner ) if deep or outer ] ) for inner in values ] , { k : v for k , v in zip ( values , values ) } , outer
class A :
    base = [ 1 , 2 ]
    twice = [ each * 2 for each in base ]
    pairs = list ( ( one , other ) for one in base for other in ( one , 3 ) )
x = f ( [ 1 , 2 ] ) , A . twice , A . pairs
""",
    "generators": """
def f ( ) :
    sent = yield 1
    while sent :
        sent = yield sent + 1
    result = 'end'
    return result
def g ( ) :
    end = yield from f ( )
    yield end
def run ( ) :
    generator = g ( ) ; found = [ next ( generator ) ]
    for value in 1 , 2 , 0 : found += [ generator . send ( value ) ]
    return found
x = run ( )
""",
    # Statements.
    "decorators": r"""
def d(f): return lambda *a: [f(*a)]

@ d

# comment
@d
def f(
    a : int = 1,
)\
      -> int :
    return a
@ (lambda c : c)
class A ( object ) :

    @ staticmethod
    def g ( ) : return 1
x = f(2), A.g()
""",
    "async": """
import asyncio
async  def f ( x : int ) -> int :
    async with  L ( ) as y:
        return [ i async  for i in g()] + [await h ( )]
class L:
    async def __aenter__ ( self ) : return 1
    async def __aexit__ ( self , * a : int ) : pass
async def g():
    yield  1
async def h(): return 3
x = asyncio . run ( f ( 1 ) )
""",
    "signatures": """
def f(a : int, / , b : 'x' = 1 , * , c : dict [ str , int ] = {} , ** k : (int)) -> (  int) : return a, b, c, k
def g(
    *  # comment
    a  # comment
    :  # comment
    (  # comment
        int
    ),
    b : { 1 : 2 , 3 : 4 } [ 1 ] = 1 ,
) -> dict[
    int,
    int
]: return a, b
x = f(1, c = 2, d = 3), g(1, 2, b = 3), (lambda a , b = 1 , * c , ** d : (a , b))(1)
""",
    "variables": r"""
import types
o = types.SimpleNamespace()
a : int = 1; b : dict[
    str, int
] = \
    {}; (c) : int = 3; (d) : (
  int
) = 4
o . x : int = 5; b [ 1 ] : int = 6; e : tuple = 1 , 2; f : int
def g(o):
    o.y: int = yield
    o.z: int
    v: tuple = * a, 2
    return v

for h in []: i : int
""",
    "bare annotation makes local": """
x = 1
def f():
    x: int
    try:
        return x
    except UnboundLocalError:
        return 'local'
def g():
    y = 1
    class A:
        y: int
        try: z = y
        except NameError: z = 'none'
    return A.z
a = f(), g()
""",
    "global and nonlocal": """
def f():
    global a
    a = 1
    b = 1
    def g():
        nonlocal b; b += 1
    g()
    return b
x = f()
""",
    "walrus": "if (n := 5) > 3: x = [y := n, y ** 2, (lambda: (z := 1))()]\n",
    "match": """
def f(x):
    match x , 1 :
        case ( - 1 | 2 , _ ) : return 'a'
        case [ str ( ) as s , * _ ] if s : return s
        case { 'k' : v , ** r } , _ :
            'string'
            return v, r
        case _ :
            'only this'
x = f(-1), f('s'), f({'k': 1, 'l': 2}), f(9)
match = 1; case = [ match ]; type = match - 1; y = (match , case [ 0 ] , (_ := type))
match ( case ) :
    case [ 1 ] : y = 1
match - match :
    case 0 : z = 1
match "a" :
    case "a" : a = 1
""",
    "control flow": """
for i in 1 , 2 :
    try : 1 / 0
    except ( ZeroDivisionError , OSError ) as e : pass
    finally : x = i
    while not i : break
    else : y = 1
with open ( '/dev/null' ) as f , open ( '/dev/null' ) as g : f.close(); g . close ( ) ; del f , g
assert ( not 0 ) , 'm'
def h ( ) :
    z = yield
    yield ( z )
    return ( yield  from ( 1 , ) )
w = list ( h ( ) )
""",
}
_NEWER = {
    (3, 11): {
        "groups": """
def f ( * a : * tuple [ int ] ) : return a
try : x = f ( * ( 1 , ) )
except * OSError as e : pass
except * ( KeyError , ValueError ) : pass
""",
    },
    (3, 12): {
        "nested quotes": r"""
x = 'k'; y = {'k': 1}; z = f'{y['k']} {f'{x + f"{x}"}'} {'\n'.join([
  x,  # comment
])}' f'{'a' 'b'  =  }' ''
""",
        "letters in f-strings": """
x = 1; z = f'ä{x}ö{'ü'}{{' f'''é
{x}😀
{'ö'}''' + f'{x:ä>{3}}' + str(x); w : int = 3
""",
        "type parameters": """
def f [ T : int , * U , ** P ] ( x : T ) -> T : return x
class A [ T ] :
    def m ( self , x : T ) : return x
type X [ T ] = list [ T ]
x = f(1), A().m(2)
""",
    },
    (3, 14): {
        "t-strings": "x = 1; y = t'{x!r:>{x}} {x  =  } {t'{'a'}'}' t'b'; z = y . strings , y . values\n",
    },
}
for _since, _cases in _NEWER.items():
    if sys.version_info >= _since:
        OBSTACLES.update(_cases)
